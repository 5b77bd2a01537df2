"""Accepted policies, and what administrators did. Rows are added and never changed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, LargeBinary, Text
from sqlmodel import Field, SQLModel

from app.db.tables.base import NEVER_REUSED, ROW_ID, row_id


class PolicyRevision(SQLModel, table=True):
    """A policy that was accepted. `parent_id` is unique: what follows a revision is decided once, whoever asks."""

    __tablename__ = "policy_revisions"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()
    parent_id: int | None = Field(unique=True, sa_type=ROW_ID)
    revision: str = Field(index=True, max_length=64)
    kind: str = Field(max_length=16)  # publish, rollback or files
    author: str
    message: str = Field(sa_type=Text)
    widens: bool
    created_at: datetime
    changes: list[str] = Field(sa_type=JSON)  # the rows that came and went
    files: bytes = Field(sa_type=LargeBinary)  # compressed
    # How its cases came out when it was published; None where they were not run.
    cases_run: int | None = Field(default=None, sa_type=ROW_ID)
    cases_failed: int | None = Field(default=None, sa_type=ROW_ID)
    cases_removed: int | None = Field(default=None, sa_type=ROW_ID)  # cases of the parent that it lacks
    cases_accepted: str | None = Field(default=None, sa_type=Text)  # why it was published all the same


class AdminAction(SQLModel, table=True):
    """What an administrator did, stored in the transaction that did it."""

    __tablename__ = "admin_actions"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()
    at: datetime = Field(index=True)
    action: str = Field(max_length=40)
    target: str
    author: str
    key_id: int | None = Field(sa_type=ROW_ID)
    request_id: str
    message: str = Field(sa_type=Text)
