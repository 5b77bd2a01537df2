"""Sessions and used forms of the console. Only the SHA-256 of a session's token is stored."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, LargeBinary
from sqlmodel import Field, SQLModel

from app.db.tables.base import NEVER_REUSED, row_id


class ConsoleSession(SQLModel, table=True):
    __tablename__ = "console_sessions"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()
    digest: bytes = Field(unique=True, sa_type=LargeBinary(32))
    subject: str = Field(index=True)  # the `sub` of the issuer's token
    name: str  # for display only
    permissions: list[str] = Field(sa_type=JSON)  # as the issuer granted them at the sign-in
    # The active organization at the sign-in: `id`, `role` and `slug`.
    organization: dict[str, str] | None = Field(default=None, sa_type=JSON(none_as_null=True))
    org_permissions: list[str] | None = Field(default=None, sa_type=JSON(none_as_null=True))  # those in it
    act: dict[str, str] | None = Field(default=None, sa_type=JSON(none_as_null=True))  # who acts as the user
    created_at: datetime
    expires_at: datetime = Field(index=True)


class UsedForm(SQLModel, table=True):
    """A form that was sent and cannot be sent again: the SHA-256 of its id and its session."""

    __tablename__ = "used_forms"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()
    digest: bytes = Field(unique=True, sa_type=LargeBinary(32))
    used_at: datetime = Field(index=True)
