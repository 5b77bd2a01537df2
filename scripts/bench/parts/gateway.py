"""A request of nginx compared with an unprotected handler, with both logs on, as shipped, and with fewer."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from scripts.bench.measuring import Options, Row
from scripts.bench.parts.rates import Side, asked, rows
from scripts.bench.served import PATH, SECRET, server
from tests.support.issuer import LiveIssuer


def measure(options: Options) -> Iterator[Row]:
    """Measure with the shipped defaults, without the access log, and without allows in the decision log too."""
    with LiveIssuer() as issuer, tempfile.TemporaryDirectory() as place:
        plain = server(Path(place, "plain"), issuer, "unprotected")
        default = server(Path(place, "default"), issuer, "protected", access_log=True)
        logged = server(Path(place, "logged"), issuer, "protected")
        silent = server(Path(place, "silent"), issuer, "protected", sample="0")
        with plain, default, logged, silent:
            token = issuer.token(permissions=["catalog:read"], exp=2**33)
            headers = {
                "Authorization": f"Bearer {token}",
                "X-Gateway-Secret": SECRET,
                "X-Original-Method": "GET",
                "X-Original-URI": "/api/v1/teams/7?page=1",
                "X-Original-IP": "192.0.2.7",
            }
            sides = {
                "shipped defaults": Side(f"{default.url}/gateway/nginx", headers),
                "access log off": Side(f"{logged.url}/gateway/nginx", headers),
                "both logs off": Side(f"{silent.url}/gateway/nginx", headers),
            }
            found = asked(options, Side(plain.url + PATH), sides)
    for name, pairs in found.items():
        yield from rows("gateway", f"nginx profile, {name}", pairs, goals=("at least 0.75", None))
