"""A GET behind the door, by a JWT and by an API key, compared with the unprotected GET and with common alternatives.

It is measured with the shipped defaults, which have the decision log and the access log on, without the access log, and
without both. The alternatives have an equal number of rules and no access log.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from scripts.bench.measuring import ROOT, Options, Row, absent, compared, pinned
from scripts.bench.parts.rates import Side, asked, rows
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
_TIMES = {40: 4, 400: 12, 4_000: 100}  # by number of rules, the goal compared with a peer
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
        sides = {"plain": Side(plain.url + PATH)}
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
        asked_for = _PEERS if rules in _TIMES and how == "uvicorn" else ()
        # scripts/bench/run installs them separately.
        peers = asked_for if PYTHON_OF_PEERS.exists() else ()
        if rules == min(_TIMES) and how == "uvicorn":
            header = sides[f"JWT {_DEFAULTS}"].headers["Authorization"]
            least = server(place / "least", issuer, "least", how=how)
            least.env[LEAST_HEADER] = header
            sides["least"] = Side(stack.enter_context(least).url + PATH, {"Authorization": header})
        for name in peers:
            peer = stack.enter_context(_peer(place / name, issuer, name, rules))
            sides[name] = Side(peer.url + PATH)
        found = asked(options, sides)
    if rules != 400:  # for comparison with the peers
        for logs, goals in _GOALS.items():
            for name in ("JWT", "key"):
                if measured := found.get(f"{name} {logs}"):
                    what = f"GET by {name} on {how}, {rules:,} rules, {logs}"
                    yield from rows("http", what, ours=measured, others=found["plain"], goals=goals, size=rules)
    if "least" in found:
        yield from rows("http", _LEAST, ours=found["least"], others=found["plain"], goals=("", ""))
    for name in asked_for:
        what = f"GET by JWT, {rules:,} rules, {_NO_ACCESS_LOG}, requests"
        if not peers:
            yield absent("http", f"{what} beside {name}", "it could not be installed")
            continue
        rates = [each.rate for each in found[f"JWT {_NO_ACCESS_LOG}"]], [each.rate for each in found[name]]
        goal = f"at least {_TIMES[rules]} times"
        yield compared("http", what, "1/s", ours=rates[0], other=(name, rates[1]), goal=goal)


def _peer(directory: Path, issuer: LiveIssuer, name: str, rules: int) -> Server:
    directory.mkdir()
    command = pinned(str(PYTHON_OF_PEERS), str(ROOT / "scripts" / "bench" / "peer.py"), name, str(rules))
    return Server(directory, jwks_url=issuer.jwks_url, issuer=issuer.url, command=command)
