"""The processes that serve, each by its own account, and policy files that were left behind."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Text
from sqlmodel import Field, SQLModel

from app.db.tables.base import NEVER_REUSED, ROW_ID, row_id


class Replica(SQLModel, table=True):
    """A process that serves, as it said when it was last seen. What it said then may be over."""

    __tablename__ = "replicas"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()
    host: str = Field(max_length=255)
    pid: int = Field(sa_type=ROW_ID)
    version: str = Field(max_length=64)
    revision: str = Field(max_length=64)  # what it decides by
    entry_id: int | None = Field(sa_type=ROW_ID)  # of the newest row of policy_revisions that it has taken over
    started_at: datetime
    seen_at: datetime = Field(index=True)
    refused: str = Field(sa_type=Text)  # why it does not serve the newest revision; empty when it may
    files: str = Field(sa_type=Text)  # why its policy directory does not hold what it serves; empty when it does


class OutdatedFiles(SQLModel, table=True):
    """A policy that was refused as files made from an older one: after a restart it is no new change either."""

    __tablename__ = "outdated_files"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()
    revision: str = Field(unique=True, max_length=64)
    seen_at: datetime
