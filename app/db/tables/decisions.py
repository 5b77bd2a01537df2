"""Decisions in the log: thin rows, and what many of them have in common, which is stored once.

A row has a key, which is a combination of a caller, a target and an outcome. Each of these exists once, and has the
first and the last day, counted since 1970, on which its decisions may have been made: they are deleted by the last one.
"""

from __future__ import annotations

from datetime import date

from sqlalchemy import BigInteger, Index, LargeBinary, SmallInteger, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from app.db.tables.base import NEVER_REUSED, ROW_ID, row_id

# The filters of the table of the previous release, whose rows are moved to `decision_rows`.
_FILTERS = ("subject", "key_id", "resource", "action", "allowed", "revision", "request_id")
# Three bytes find a request id, if its time does not: see `app.db.compact_ids`.
REQUEST_ID_PART = "substr(request_id, 3, 3)"
IS_UNTIMED = "length(request_id) <> 8"
# On PostgreSQL indexes have blocks of ids and of seconds, by bits: see `app.db.row_order`.
ID_BLOCK_BITS = 6
SECOND_BLOCK_BITS = 6
_ON_SQLITE, _ON_POSTGRESQL = {"dialect": "sqlite"}, {"dialect": "postgresql"}
OF_APPS = text("client_id IS NOT NULL")


class GrantSet(SQLModel, table=True):
    """The grants that principals stated, shared by all with the same: a JSON list, and its SHA-256."""

    __tablename__ = "grant_sets"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()
    digest: bytes = Field(unique=True, sa_type=LargeBinary(32))
    grants: str = Field(sa_type=Text)
    last_seen_on: date = Field(index=True)


class DecisionCaller(SQLModel, table=True):
    """Who made requests: the subject, the method of verification, the API key, the app and the grants."""

    __tablename__ = "decision_callers"
    __table_args__ = (
        Index("ix_decision_callers_client_id", "client_id", sqlite_where=OF_APPS, postgresql_where=OF_APPS),
        NEVER_REUSED,
    )
    id: int = row_id()
    digest: bytes = Field(unique=True, sa_type=LargeBinary(20))
    first_day: int
    last_day: int
    subject: str = Field(index=True)
    method: str | None = Field(max_length=16)
    key_id: int | None = Field(index=True, sa_type=ROW_ID)
    grant_set_id: int | None = Field(index=True, sa_type=ROW_ID)
    client_id: str | None = Field(default=None, sa_type=Text)
    impersonator: str | None = Field(default=None, sa_type=Text)


class DecisionTarget(SQLModel, table=True):
    """What was requested, and at which door."""

    __tablename__ = "decision_targets"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()
    digest: bytes = Field(unique=True, sa_type=LargeBinary(20))
    first_day: int
    last_day: int
    door: str = Field(max_length=32)
    action: str = Field(index=True)
    resource: str = Field(index=True)


class DecisionOutcome(SQLModel, table=True):
    """A verdict with its reason, under a revision of the policy."""

    __tablename__ = "decision_outcomes"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()
    digest: bytes = Field(unique=True, sa_type=LargeBinary(20))
    first_day: int
    last_day: int
    allowed: bool
    reason: str
    rule_place: str | None
    rule_text: str | None = Field(sa_type=Text)
    missing: str = Field(sa_type=Text)  # grants, separated by a space
    revision: str = Field(index=True, max_length=64)


class DecisionKeyRow(SQLModel, table=True):
    """What many decisions have in common.

    `decision_class` is the index of the class in `DECISION_CLASSES`. `byte_count` is about what the key takes, with
    those of its parts that were stored with it.
    """

    __tablename__ = "decision_keys"
    __table_args__ = (UniqueConstraint("caller_id", "target_id", "outcome_id"), NEVER_REUSED)
    id: int = row_id()
    first_day: int
    last_day: int
    caller_id: int = Field(sa_type=ROW_ID)
    target_id: int = Field(index=True, sa_type=ROW_ID)
    outcome_id: int = Field(index=True, sa_type=ROW_ID)
    decision_class: int = Field(default=0, sa_type=SmallInteger, sa_column_kwargs={"server_default": text("0")})
    byte_count: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})


class DecisionRow(SQLModel, table=True):
    """A decision, or `count` equal ones within a second. On PostgreSQL NULL is 1, which takes no space there.

    Times are split, so that indexes hold four bytes of them: `second` counts from 2020, since 32 bits reach until 2088.
    Ids are those of `decisions` too, in the order of the commits. On PostgreSQL the table is partitioned by the day.
    """

    __tablename__ = "decision_rows"
    __table_args__ = (
        Index("ix_decision_rows_second", "second", info=_ON_SQLITE),
        Index("ix_decision_rows_decision_key_id_second", "decision_key_id", "second", info=_ON_SQLITE),
        Index("ix_decision_rows_id_block", text(f"(id >> {ID_BLOCK_BITS})"), info=_ON_POSTGRESQL),
        Index("ix_decision_rows_second_block", text(f"(second >> {SECOND_BLOCK_BITS})"), info=_ON_POSTGRESQL),
        Index("ix_decision_rows_decision_key_id", "decision_key_id", info=_ON_POSTGRESQL),
        Index(
            "ix_decision_rows_request_id_part",
            text(REQUEST_ID_PART),
            sqlite_where=text(IS_UNTIMED),
            postgresql_where=text(IS_UNTIMED),
        ),
        NEVER_REUSED,
    )
    id: int = row_id()
    decision_key_id: int = Field(sa_type=ROW_ID)
    second: int
    microsecond: int
    latency: int  # in microseconds
    count: int | None
    request_id: bytes = Field(sa_type=LargeBinary)
    token_id: bytes | None = Field(sa_type=LargeBinary)


class LoggedDecision(SQLModel, table=True):
    """A decision as the previous release stores it, until it is moved to `decision_rows`."""

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
