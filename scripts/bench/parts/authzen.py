"""AuthZEN: an evaluation beside an unprotected handler, and the time of an item in a batch of 100."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from scripts.bench.authzen import ACTION, SUBJECT, item_micros
from scripts.bench.measuring import Options, Row, spread
from scripts.bench.parts.rates import Side, asked, rows
from scripts.bench.served import PATH, server
from tests.issuer import LiveIssuer


def measure(options: Options) -> Iterator[Row]:
    """Both figures."""
    body = json.dumps({"subject": SUBJECT, "action": ACTION, "resource": {"type": "route", "id": "/api/v1/teams/7"}})
    with LiveIssuer() as issuer, tempfile.TemporaryDirectory() as place:
        plain = server(Path(place, "plain"), issuer, "unprotected")
        with plain, server(Path(place, "ours"), issuer, "protected") as ours:
            token = issuer.token(permissions=["decisions:evaluate"], exp=2**33)
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            sides = {
                "plain": Side(plain.url + PATH),
                "ours": Side(f"{ours.url}/access/v1/evaluation", headers, body),
            }
            found = asked(options, sides)
            calls = 5 if options.tiny else 200
            items = [item_micros(ours, token, "/api/v1/teams/{number}", calls) for _ in range(options.rounds)]
    goals = ("at least 0.5", "")
    yield from rows("authzen", "an evaluation", ours=found["ours"], others=found["plain"], goals=goals)
    yield Row("authzen", "an item in a batch of 100", "µs", spread(items), "at most 15 µs")
