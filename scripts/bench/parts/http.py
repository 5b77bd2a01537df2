"""A GET behind the door, by a JWT and by an API key, beside the same GET unprotected; decision log on."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from scripts.bench.measuring import Options, Row
from scripts.bench.parts.rates import Side, asked, rows
from scripts.bench.served import PATH, key_of, server
from tests.issuer import LiveIssuer

_GOALS = ("at least 0.85", "at most 1.3 times")


def measure(options: Options) -> Iterator[Row]:
    """At each number of rules."""
    for rules in (40,) if options.tiny else (40, 4_000, 40_000):
        with LiveIssuer() as issuer, tempfile.TemporaryDirectory() as place:
            plain = server(Path(place, "plain"), issuer, "unprotected")
            with plain, server(Path(place, "ours"), issuer, "protected", rules) as ours:
                tokens = {"JWT": issuer.token(permissions=["catalog:read"], exp=2**33), "key": key_of(ours, issuer)}
                sides = {"plain": Side(plain.url + PATH)} | {
                    name: Side(ours.url + PATH, {"Authorization": f"Bearer {token}"}) for name, token in tokens.items()
                }
                found = asked(options, sides)
        for name in tokens:
            what = f"GET by {name}, {rules:,} rules"
            yield from rows("http", what, ours=found[name], others=found["plain"], goals=_GOALS, size=rules)
