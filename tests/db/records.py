"""Decisions for the log, as the program records them."""

from __future__ import annotations

from typing import Any

from app.audit.record import DecisionKey, Record

KEY = DecisionKey(
    door="app",
    subject="",
    method="jwt",
    key_id=None,
    action="GET",
    resource="/x",
    allowed=True,
    reason="",
    rule_place=None,
    rule_text=None,
    missing=(),
    revision="r",
    grants=None,
)
RECORD = Record(at=0, latency=1, request_id="r", token_id=None, key=KEY)


def varied(record: Record, **values: Any) -> Record:
    """The record with these values of it or of its key."""
    of_record = {name: values.pop(name) for name in Record._fields if name in values}
    return record._replace(**{"key": record.key._replace(**values), **of_record})
