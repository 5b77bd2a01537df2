"""The serving processes, as they report themselves, and outdated policy files."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Text
from sqlmodel import Field, SQLModel

from app.db.tables.base import NEVER_REUSED, ROW_ID, row_id


class Replica(SQLModel, table=True):
    """A serving process, as it last reported."""

    __tablename__ = "replicas"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()
    host: str = Field(max_length=255)
    pid: int = Field(sa_type=ROW_ID)
    version: str = Field(max_length=64)
    revision: str = Field(max_length=64)  # the policy that it serves
    entry_id: int | None = Field(sa_type=ROW_ID)  # the newest row of policy_revisions that it has taken over
    started_at: datetime
    seen_at: datetime = Field(index=True)
    refused: str = Field(sa_type=Text)  # why it does not serve the newest revision, if so
    files: str = Field(sa_type=Text)  # why its policy directory does not hold what it serves, if so


class OutdatedFiles(SQLModel, table=True):
    """The revision of outdated files, which do not count as an edit after a restart."""

    __tablename__ = "outdated_files"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()
    revision: str = Field(unique=True, max_length=64)
    seen_at: datetime
