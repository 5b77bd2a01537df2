"""Finds HEAD open to callers who are denied GET: it reveals the status and headers of the GET response."""

from __future__ import annotations

from collections.abc import Iterator

from app.policy.engine.checks import is_left_open
from app.policy.engine.snapshot import Snapshot
from app.policy.language.fault import Fault
from app.policy.language.placement import fault_at_rule


def open_heads(snapshot: Snapshot) -> Iterator[Fault]:
    """Denies of GET that leave HEAD open, each with the first endpoint where it does."""
    index, table = snapshot.index, snapshot.table
    for rule in snapshot.policy.rules:
        if rule.effect == "allow" or not rule.is_route or "GET" not in rule.actions or "HEAD" in rule.actions:
            continue
        held = snapshot.effective(rule.needs)
        left = [
            template
            for template in table.match(rule.resource)
            if (template, "GET") in index and is_left_open(rule, index.get((template, "HEAD"), ()), held)
        ]
        if left:
            also = f" and {len(left) - 1} more" if len(left) > 1 else ""
            message = f"this deny of GET leaves HEAD open: a row allows HEAD {left[0]}{also}"
            hint = "name both: `GET|HEAD`"
            yield fault_at_rule(rule, snapshot.policy, "open-head", message, hint, word="GET")
