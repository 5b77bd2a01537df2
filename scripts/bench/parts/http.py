"""A GET behind the door, by a JWT and by an API key, compared with the unprotected GET and with common alternatives.

It is measured with the shipped defaults, which have the decision log and the access log on, without the access log, and
without both. The alternatives have an equal number of rules and no access log.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from scripts.bench.measuring import ROOT, Options, Row, absent, compared, pinned
from scripts.bench.parts.rates import Pair, Side, asked, rows
from scripts.bench.served import LEAST_HEADER, PATH, key_of, server
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

PYTHON_OF_PEERS = ROOT / ".authz" / "bench" / "peers" / "bin" / "python"
_DEFAULTS, _NO_ACCESS_LOG, _NO_LOGS = "shipped defaults", "access log off", "both logs off"
_GOALS = {
    _DEFAULTS: ("at least 0.70", "at most 1.5 times"),
    _NO_ACCESS_LOG: ("at least 0.78", None),
    _NO_LOGS: ("at least 0.88", None),
}
_TIMES = {40: 5, 400: 12, 4_000: 100}  # by number of rules, the goal compared with a peer
_LEAST = "GET behind the least that a guard with a log can be, not ours"
_PEERS = ("fastapi-authz", "casbin-fastapi-decorator")


def measure(options: Options) -> Iterator[Row]:
    """Measure on each server with each number of rules."""
    for rules in (40,) if options.tiny else (40, 400, 4_000, 40_000):
        for how in ("uvicorn",) if rules == 400 else ("uvicorn", "granian"):
            yield from _at(options, rules, how)


def _at(options: Options, rules: int, how: str) -> Iterator[Row]:
    with ExitStack() as stack:
        issuer = stack.enter_context(LiveIssuer())
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        plain = stack.enter_context(server(place / "plain", issuer, "unprotected", how=how))
        sides: dict[str, Side] = {}
        for logs in _GOALS if rules == min(_TIMES) else (_DEFAULTS, _NO_ACCESS_LOG):
            ours = server(
                place / logs,
                issuer,
                "protected",
                rules,
                how=how,
                access_log=logs == _DEFAULTS,
                sample="0" if logs == _NO_LOGS else "1",
            )
            stack.enter_context(ours)
            tokens = {"JWT": issuer.token(permissions=["catalog:read"], exp=2**33), "key": key_of(ours, issuer)}
            for name, token in tokens.items():
                sides[f"{name} {logs}"] = Side(ours.url + PATH, {"Authorization": f"Bearer {token}"})
        by_jwt = sides[f"JWT {_NO_ACCESS_LOG}"]
        if rules == min(_TIMES) and how == "uvicorn":
            header = by_jwt.headers["Authorization"]
            least = server(place / "least", issuer, "least", how=how)
            least.env[LEAST_HEADER] = header
            sides[_LEAST] = Side(stack.enter_context(least).url + PATH, {"Authorization": header})
        if rules != 400:  # for comparison with the peers
            for name, pairs in asked(options, Side(plain.url + PATH), sides).items():
                yield from _compared_with_unprotected(name, pairs, rules, how)
        for name in _PEERS if rules in _TIMES and how == "uvicorn" else ():
            what = f"GET by JWT, {rules:,} rules, {_NO_ACCESS_LOG}, requests"
            if not PYTHON_OF_PEERS.exists():  # scripts/bench/run installs them separately
                yield absent("http", f"{what} beside {name}", "it could not be installed")
                continue
            with _peer(place / name, issuer, name, rules) as peer:
                pairs = asked(options, Side(peer.url + PATH), {"ours": by_jwt})["ours"]
            rates = [pair.side.rate for pair in pairs], [pair.reference.rate for pair in pairs]
            goal = f"at least {_TIMES[rules]} times"
            yield compared("http", what, "1/s", ours=rates[0], other=(name, rates[1]), goal=goal)


def _compared_with_unprotected(name: str, pairs: Sequence[Pair], rules: int, how: str) -> Iterator[Row]:
    if name == _LEAST:
        return rows("http", _LEAST, pairs, goals=("", ""))
    caller, _, logs = name.partition(" ")
    what = f"GET by {caller} on {how}, {rules:,} rules, {logs}"
    return rows("http", what, pairs, goals=_GOALS[logs], size=rules)


def _peer(directory: Path, issuer: LiveIssuer, name: str, rules: int) -> Server:
    directory.mkdir()
    command = pinned(str(PYTHON_OF_PEERS), str(ROOT / "scripts" / "bench" / "peer.py"), name, str(rules))
    return Server(directory, jwks_url=issuer.jwks_url, issuer=issuer.url, command=command)
