"""API keys. Only the SHA-256 of a key and its prefix are stored."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, Index, LargeBinary, text
from sqlmodel import Field, SQLModel

from app.db.tables.base import NEVER_REUSED, ROW_ID, row_id

_REVOKED = text("revoked_at IS NOT NULL")
_SUPERSEDED = text("successor_id IS NOT NULL")
_UNUSED = text("last_used_at IS NULL AND revoked_at IS NULL")
_USED = text("last_used_at IS NOT NULL")
_EXPIRING = text("expires_at IS NOT NULL")


class ApiKey(SQLModel, table=True):
    __tablename__ = "api_keys"
    __table_args__ = (
        # The filters and orders of the list of all keys, which may be a million. The prefix is compared by bytes, so
        # that keys with the same beginning are adjacent in the index.
        Index("ix_api_keys_key_prefix", "key_prefix", postgresql_ops={"key_prefix": "varchar_pattern_ops"}),
        Index("ix_api_keys_subject_id", "subject", "id"),
        # The same orders for an owner of very many keys, all of which SQLite would read and sort.
        Index(
            "ix_api_keys_subject_last_used_at_id",
            "subject",
            "last_used_at",
            "id",
            postgresql_where=_USED,
            sqlite_where=_USED,
        ),
        Index(
            "ix_api_keys_subject_expires_at_id",
            "subject",
            "expires_at",
            "id",
            postgresql_where=_EXPIRING,
            sqlite_where=_EXPIRING,
        ),
        Index("ix_api_keys_last_used_at_id", "last_used_at", "id"),
        Index("ix_api_keys_expires_at_id", "expires_at", "id"),
        Index("ix_api_keys_revoked", "id", postgresql_where=_REVOKED, sqlite_where=_REVOKED),
        Index("ix_api_keys_superseded", "id", postgresql_where=_SUPERSEDED, sqlite_where=_SUPERSEDED),
        Index("ix_api_keys_unused", "id", postgresql_where=_UNUSED, sqlite_where=_UNUSED),
        NEVER_REUSED,
    )
    id: int = row_id()
    subject: str = Field(index=True)  # the `sub` of the owner, `org:<id>` if that is an organization
    name: str
    environment: str = Field(max_length=8)
    key_prefix: str = Field(max_length=32)
    digest: bytes = Field(unique=True, sa_type=LargeBinary(32))
    scopes: list[str] = Field(sa_type=JSON)
    created_at: datetime
    last_used_at: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    successor_id: int | None = Field(default=None, sa_type=ROW_ID)  # the key that it was rotated to
    # The grants of the owner's token at the issue, from which the scopes come; NULL if not recorded.
    token_grants: list[str] | None = Field(default=None, sa_type=JSON(none_as_null=True))
    # Of the key of an organization: its id, the `sub` of the person who issued it, and what that person had in the
    # organization then. `token_grants` is empty, so that a server of the previous version puts no scope in force.
    organization: str | None = None
    created_by: str | None = None
    membership_grants: list[str] | None = Field(default=None, sa_type=JSON(none_as_null=True))


class KeyChange(SQLModel, table=True):
    """A change or deletion of a key, recorded by a trigger in the order of the commits."""

    __tablename__ = "key_changes"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()
    key_id: int = Field(sa_type=ROW_ID)
    at: int = Field(sa_type=BigInteger)  # seconds since 1970
