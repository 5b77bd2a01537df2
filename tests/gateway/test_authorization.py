"""The caller's credentials reach the service, unless a gateway is configured to drop them as its guide says."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path

from tests.gateway.conftest import World
from tests.gateway.gateways import INGRESS, NAMES, SHIPPED, Gateway
from tests.support.issuer import LiveIssuer

GUIDE = (SHIPPED / "README.md").read_text()
# The place of each line of the guide.
PLACES = {
    "nginx": ("proxy_set_header Host $host;\n", "proxy_set_header Host $host;\n{}\n"),
    "traefik": ('          X-Gateway-Service: ""\n', '          X-Gateway-Service: ""\n          {}\n'),
    "caddy": ("reverse_proxy {$UPSTREAM}\n", "reverse_proxy {{$UPSTREAM}} {{\n{}\n}}\n"),
    "envoy": ("                route_config:\n", "                route_config:\n                  {}\n"),
    INGRESS: ('  Trailer: ""\n', '  Trailer: ""\n  {}\n'),
}


def test_credentials_reach_the_service_unless_the_line_of_the_guide_drops_them(
    world: World, issuer: LiveIssuer, tmp_path: Path
) -> None:
    rows = {
        name.lower(): line for name, line in re.findall(r"^\| (\S+) \| [^|]+ \| `([^`|]+)` \|$", GUIDE, re.MULTILINE)
    }
    assert PLACES.keys() <= rows.keys()
    bearer = f"Bearer {issuer.token(permissions=['catalog:read'])}"
    with ExitStack() as stack:
        for name, (old, new) in PLACES.items():
            for edits in ({old: new.format(rows[name])}, {}):
                if name in NAMES and not edits:
                    gateway = world.gateways[name]
                else:
                    assert all(any(old in file.read_text() for file in SHIPPED.iterdir()) for old in edits)
                    directory = tmp_path / f"{name}{len(edits)}"
                    authz = world.server.url.removeprefix("http://")
                    made = Gateway(name, directory, authz=authz, upstream=world.upstream.address, edits=edits)
                    gateway = stack.enter_context(made)
                world.upstream.reached.clear()
                assert gateway.ask("GET", "/v1/orders/7", Authorization=bearer).status == 200
                (reached,) = world.upstream.reached
                assert reached.header("authorization") == ([] if edits else [bearer]), name
