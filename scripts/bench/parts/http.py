"""A GET behind the door, by a JWT and by an API key, with the decision log on: beside the same GET unprotected, and
beside what people use today, with as many rules."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from scripts.bench.measuring import ROOT, Options, Row, compared, pinned
from scripts.bench.parts.rates import Side, asked, rows
from scripts.bench.served import PATH, key_of, server
from tests.issuer import LiveIssuer
from tests.server import Server

PYTHON_OF_PEERS = ROOT / ".authz" / "bench" / "peers" / "bin" / "python"
_GOALS = ("at least 0.85", "at most 1.3 times")
_TIMES = {40: 4, 400: 12, 4_000: 100}  # by number of rules, what is to be reached beside a peer
_PEERS = ("fastapi-authz", "casbin-fastapi-decorator")


def measure(options: Options) -> Iterator[Row]:
    """At each number of rules."""
    for rules in (40,) if options.tiny else (40, 400, 4_000, 40_000):
        with ExitStack() as stack:
            issuer = stack.enter_context(LiveIssuer())
            place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            plain = stack.enter_context(server(place / "plain", issuer, "unprotected"))
            ours = stack.enter_context(server(place / "ours", issuer, "protected", rules))
            tokens = {"JWT": issuer.token(permissions=["catalog:read"], exp=2**33), "key": key_of(ours, issuer)}
            sides = {"plain": Side(plain.url + PATH)} | {
                name: Side(ours.url + PATH, {"Authorization": f"Bearer {token}"}) for name, token in tokens.items()
            }
            # They are installed by scripts/bench/run, apart.
            peers = [name for name in _PEERS if rules in _TIMES and PYTHON_OF_PEERS.exists()]
            for name in peers:
                peer = stack.enter_context(_peer(place / name, issuer, name, rules))
                sides[name] = Side(peer.url + PATH)
            found = asked(options, sides)
        for name in tokens:
            what = f"GET by {name}, {rules:,} rules"
            yield from rows("http", what, ours=found[name], others=found["plain"], goals=_GOALS, size=rules)
        for name in peers:
            rates = [each.rate for each in found["JWT"]], [each.rate for each in found[name]]
            what, goal = f"GET by JWT, {rules:,} rules, requests", f"at least {_TIMES[rules]} times"
            yield compared("http", what, "1/s", ours=rates[0], other=(name, rates[1]), goal=goal)


def _peer(directory: Path, issuer: LiveIssuer, name: str, rules: int) -> Server:
    directory.mkdir()
    command = pinned(str(PYTHON_OF_PEERS), str(ROOT / "scripts" / "bench" / "peer.py"), name, str(rules))
    return Server(directory, jwks_url=issuer.jwks_url, issuer=issuer.url, command=command)
