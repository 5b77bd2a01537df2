"""Accepted policies, and administrative actions. Rows are added and never changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, LargeBinary, Text
from sqlmodel import Field, SQLModel

from app.db.tables.base import NEVER_REUSED, ROW_ID, row_id


class PolicyRevision(SQLModel, table=True):
    """A policy that was accepted. `parent_id` is unique: a revision has one successor."""

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
    changes: list[str] = Field(sa_type=JSON)  # the rows that were added and removed
    files: bytes = Field(sa_type=LargeBinary)  # compressed
    # The results of its cases when it was published; None if they were not run.
    cases_run: int | None = Field(default=None, sa_type=ROW_ID)
    cases_failed: int | None = Field(default=None, sa_type=ROW_ID)
    cases_removed: int | None = Field(default=None, sa_type=ROW_ID)  # cases of the parent that it lacks
    cases_accepted: str | None = Field(default=None, sa_type=Text)  # why it was published nevertheless


class AdminAction(SQLModel, table=True):
    """An administrative action, stored in the transaction that performed it."""

    __tablename__ = "admin_actions"
    __table_args__ = (
        # Each can be the only filter of a query, newest first.
        *(Index(f"ix_admin_actions_{name}_id", name, "id") for name in ("action", "target", "author", "request_id")),
        NEVER_REUSED,
    )
    id: int = row_id()
    at: datetime = Field(index=True)
    action: str = Field(max_length=40)
    target: str
    author: str
    key_id: int | None = Field(sa_type=ROW_ID)
    request_id: str
    message: str = Field(sa_type=Text)
    # NULL in rows of a release that did not record it.
    door: str | None = Field(default=None, max_length=16)
    method: str | None = Field(default=None, max_length=16)
    client_id: str | None = Field(default=None, sa_type=Text)
    impersonator: str | None = Field(default=None, sa_type=Text)
    session_id: int | None = Field(default=None, sa_type=ROW_ID)
    token_id: str | None = None
    revision: str | None = Field(default=None, max_length=64)
    details: dict[str, Any] | None = Field(default=None, sa_type=JSON(none_as_null=True))
