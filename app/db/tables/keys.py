"""API keys as they are stored: never the key, only the SHA-256 of all of it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, LargeBinary
from sqlmodel import Field, SQLModel

from app.db.tables.base import NEVER_REUSED, ROW_ID, row_id


class ApiKey(SQLModel, table=True):
    __tablename__ = "api_keys"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()
    subject: str = Field(index=True)  # the `sub` of the owner
    name: str
    environment: str = Field(max_length=8)
    key_prefix: str = Field(max_length=32)
    digest: bytes = Field(unique=True, sa_type=LargeBinary(32))
    scopes: list[str] = Field(sa_type=JSON)
    created_at: datetime
    last_used_at: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class KeyChange(SQLModel, table=True):
    """That a key was changed or deleted: noted by a trigger, in the order in which changes are committed."""

    __tablename__ = "key_changes"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()
    key_id: int = Field(sa_type=ROW_ID)
    at: int = Field(sa_type=BigInteger)  # seconds since 1970
