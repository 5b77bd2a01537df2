"""Third-party apps. Only the SHA-256 of a secret is stored."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, Index, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

from app.db.tables.base import NEVER_REUSED, row_id

_EXPIRES = text("expires_at IS NOT NULL")


class OAuthClient(SQLModel, table=True):
    """An app: of kind `registered`, `dynamic`, or `document` once a user consented to it or it was disabled."""

    __tablename__ = "oauth_clients"
    __table_args__ = (
        Index("ix_oauth_clients_kind_id", "kind", "id"),
        Index("ix_oauth_clients_expires_at", "expires_at", postgresql_where=_EXPIRES, sqlite_where=_EXPIRES),
        NEVER_REUSED,
    )
    id: int = row_id()
    client_id: str = Field(unique=True, sa_type=Text)
    kind: str = Field(max_length=16)
    name: str = Field(max_length=60)
    host: str | None = Field(sa_type=Text)
    redirect_uris: list[str] = Field(sa_type=JSON)
    version: str = Field(max_length=32)
    secret_digest: bytes | None = Field(default=None, sa_type=LargeBinary(32))  # NULL for a public app
    # The secret before the rotation, which is accepted until then.
    former_digest: bytes | None = Field(default=None, sa_type=LargeBinary(32))
    former_until: datetime | None = None
    created_by: str  # the `sub` of the person, or the account of a command; empty for `document` and `dynamic`
    created_at: datetime
    changed_at: datetime
    disabled_at: datetime | None = None
    expires_at: datetime | None = None  # of a dynamic app to which no user has consented
    # The networks of the address at which such an app registered.
    origin: str = Field(default="", max_length=17, sa_column_kwargs={"server_default": text("''")})
