"""Decisions in the log. Times are in microseconds since 1970, UTC, since a place in the log is a time."""

from __future__ import annotations

from datetime import date

from sqlalchemy import BigInteger, Index, LargeBinary, Text
from sqlmodel import Field, SQLModel

from app.db.tables.base import NEVER_REUSED, ROW_ID, row_id

# Each can be the only filter of a query, newest first, over millions of rows.
_FILTERS = ("subject", "key_id", "resource", "action", "allowed", "revision", "request_id")


class GrantSet(SQLModel, table=True):
    """The grants that principals stated, shared by all with the same: a JSON list, and its SHA-256."""

    __tablename__ = "grant_sets"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()
    digest: bytes = Field(unique=True, sa_type=LargeBinary(32))
    grants: str = Field(sa_type=Text)
    last_seen_on: date = Field(index=True)


class LoggedDecision(SQLModel, table=True):
    """A decision. `grant_set_id` is not a foreign key: both are deleted by age, the sets last."""

    __tablename__ = "decisions"
    __table_args__ = (
        Index("ix_decisions_at_id", "at", "id"),
        *(Index(f"ix_decisions_{column}_at_id", column, "at", "id") for column in _FILTERS),
        NEVER_REUSED,
    )
    id: int = row_id()
    at: int = Field(sa_type=BigInteger)
    latency: int = Field(sa_type=BigInteger)
    request_id: str
    door: str = Field(max_length=32)
    subject: str
    method: str | None = Field(max_length=16)
    key_id: int | None = Field(sa_type=ROW_ID)
    token_id: str | None
    action: str
    resource: str
    allowed: bool
    reason: str
    rule_place: str | None
    rule_text: str | None = Field(sa_type=Text)
    missing: str = Field(sa_type=Text)  # grants, separated by a space
    revision: str = Field(max_length=64)
    grant_set_id: int | None = Field(sa_type=ROW_ID)
