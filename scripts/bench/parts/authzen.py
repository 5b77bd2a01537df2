"""AuthZEN: an evaluation compared with an unprotected handler and with Cerbos, and the time of a batch item."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from scripts.bench import cerbos
from scripts.bench.authzen import ACTION, SUBJECT, item_micros
from scripts.bench.measuring import Options, Row, absent, compared, spread
from scripts.bench.parts.rates import Side, asked, rows
from scripts.bench.served import POST_PATH, server
from tests.support.issuer import LiveIssuer

_GOAL = "at least 3 times"


def measure(options: Options) -> Iterator[Row]:
    """Measure all three."""
    body = json.dumps({"subject": SUBJECT, "action": ACTION, "resource": {"type": "route", "id": "/api/v1/teams/7"}})
    with LiveIssuer() as issuer, tempfile.TemporaryDirectory() as place:
        plain = server(Path(place, "plain"), issuer, "unprotected")
        default = server(Path(place, "default"), issuer, "protected", access_log=True)
        with plain, default, server(Path(place, "ours"), issuer, "protected") as ours:
            token = issuer.token(permissions=["decisions:evaluate"], exp=2**33)
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            sides = {
                "shipped defaults": Side(f"{default.url}/access/v1/evaluation", headers, body),
                "access log off": Side(f"{ours.url}/access/v1/evaluation", headers, body),
            }
            found = asked(options, Side(plain.url + POST_PATH, headers, body), sides)
            calls = 5 if options.tiny else 200
            items = [item_micros(ours, token, "/api/v1/teams/{number}", calls) for _ in range(options.rounds)]
    goals = ("at least 0.65", None)
    for name, pairs in found.items():
        yield from rows("authzen", f"an evaluation, {name}", pairs, goals=goals)
    yield Row("authzen", "an item in a batch of 100", "µs", spread(items), "at most 15 µs")
    for rules in (40,) if options.tiny else (40, 4_000):
        what = f"an evaluation, {rules:,} rules, 32 connections, requests"
        if cerbos.BINARY.exists():
            yield _beside_cerbos(options, rules, what)
        else:
            yield absent("authzen", f"{what} beside Cerbos", "its package could not be fetched")


def _beside_cerbos(options: Options, rules: int, what: str) -> Row:
    with ExitStack() as stack:
        issuer = stack.enter_context(LiveIssuer())
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ours = stack.enter_context(server(place / "ours", issuer, "protected", rules))
        token = issuer.token(permissions=["decisions:evaluate"], exp=2**33)
        resource = {"type": "route", "id": f"things:/v1/t{rules // 2}/7"}
        body = json.dumps({"subject": SUBJECT, "action": ACTION, "resource": resource})
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        side = Side(f"{ours.url}/access/v1/evaluation", headers, body, 32)
        reference = stack.enter_context(cerbos.cerbos(place / "cerbos", rules))
        pairs = asked(options, reference, {"ours": side})["ours"]
    other = (f"Cerbos {cerbos.version()}", [pair.reference.rate for pair in pairs])
    return compared("authzen", what, "1/s", ours=[pair.side.rate for pair in pairs], other=other, goal=_GOAL)
