"""A decision for the log, as the program notes one."""

from __future__ import annotations

from app.audit.record import Record

RECORD = Record(
    at=0,
    latency=1,
    request_id="r",
    door="app",
    subject="",
    method="jwt",
    key_id=None,
    token_id=None,
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
