"""What third-party apps were allowed, and their tokens. Only the SHA-256 of a token is stored."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, Index, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

from app.db.tables.base import NEVER_REUSED, refers_to, row_id

_ACTIVE = text("revoked_at IS NULL")


class Person(SQLModel, table=True):
    """A user who signed in here, with the permissions that the issuer granted at the last sign-in."""

    __tablename__ = "people"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()
    subject: str = Field(unique=True)  # the `sub` of the issuer's token
    permissions: list[str] = Field(sa_type=JSON)
    # The active organization at the sign-in: `id`, `role` and `slug`.
    organization: dict[str, str] | None = Field(default=None, sa_type=JSON(none_as_null=True))
    signed_in_at: datetime | None = None  # NULL if the person was blocked before any sign-in
    blocked_at: datetime | None = None


class AppGrant(SQLModel, table=True):
    """What a user allowed an app. Of a user and an app at most one is not revoked."""

    __tablename__ = "oauth_grants"
    __table_args__ = (
        Index(
            "uq_oauth_grants_person_id_app_id",
            "person_id",
            "app_id",
            unique=True,
            postgresql_where=_ACTIVE,
            sqlite_where=_ACTIVE,
        ),
        NEVER_REUSED,
    )
    id: int = row_id()
    person_id: int = refers_to("people", ondelete="CASCADE")
    app_id: int = refers_to("oauth_clients", ondelete="CASCADE")
    scopes: list[str] = Field(sa_type=JSON)
    app_version: str = Field(max_length=32)  # of the app to which the user consented
    created_at: datetime
    changed_at: datetime  # the last consent
    last_used_at: datetime | None = None
    revoked_at: datetime | None = Field(default=None, index=True)


class TokenFamily(SQLModel, table=True):
    """The tokens that come from one code.

    `generation` counts the rotations of its refresh token; `siblings` are the further ones of this generation.
    """

    __tablename__ = "oauth_families"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()
    grant_id: int = refers_to("oauth_grants", ondelete="CASCADE")
    selector: bytes = Field(unique=True, sa_type=LargeBinary(32))  # the SHA-256 of what its refresh tokens share
    scopes: list[str] = Field(sa_type=JSON)
    resource: str = Field(sa_type=Text)
    generation: int = 0
    siblings: int = 0
    rotated_at: datetime
    created_at: datetime
    refreshed_at: datetime = Field(index=True)
    revoked_at: datetime | None = None


class AccessToken(SQLModel, table=True):
    __tablename__ = "oauth_access_tokens"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()
    family_id: int = refers_to("oauth_families", ondelete="CASCADE")
    digest: bytes = Field(unique=True, sa_type=LargeBinary(32))
    scopes: list[str] = Field(sa_type=JSON)
    expires_at: datetime
    revoked_at: datetime | None = None


class RefreshToken(SQLModel, table=True):
    """A refresh token of the current or the previous generation of its family."""

    __tablename__ = "oauth_refresh_tokens"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()
    family_id: int = refers_to("oauth_families", ondelete="CASCADE")
    digest: bytes = Field(unique=True, sa_type=LargeBinary(32))
    generation: int


class AuthorizationCode(SQLModel, table=True):
    """A code. One that was redeemed stays as long as the family of its tokens, so that a second use ends that."""

    __tablename__ = "oauth_codes"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()
    grant_id: int = refers_to("oauth_grants", ondelete="CASCADE")
    digest: bytes = Field(unique=True, sa_type=LargeBinary(32))
    redirect_uri: str = Field(sa_type=Text)
    challenge: str = Field(max_length=43)
    scopes: list[str] = Field(sa_type=JSON)
    resource: str = Field(sa_type=Text)
    expires_at: datetime = Field(index=True)
    wrong_verifiers: int = 0
    family_id: int | None = refers_to("oauth_families", ondelete="CASCADE", default=None, nullable=True)


class AuthorizationRequest(SQLModel, table=True):
    """A request that a client pushed, or that waits for the consent of the user of one browser.

    `origin` are the networks of the address that it came from.
    """

    __tablename__ = "oauth_requests"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()
    digest: bytes = Field(unique=True, sa_type=LargeBinary(32))  # of its random name
    browser: bytes | None = Field(default=None, sa_type=LargeBinary(32))  # of the browser's cookie; NULL if pushed
    client_id: str = Field(sa_type=Text)
    origin: str = Field(default="", max_length=17, index=True, sa_column_kwargs={"server_default": text("''")})
    parameters: dict[str, str] = Field(sa_type=JSON)
    created_at: datetime
    expires_at: datetime = Field(index=True)


class AppChange(SQLModel, table=True):
    """A change of what decides about access tokens, recorded by triggers in the order of the commits."""

    __tablename__ = "oauth_changes"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()
    tag: str = Field(max_length=40)  # `person:<id>`, `app:<id>`, `grant:<id>` or `family:<id>`
    at: int = Field(sa_type=BigInteger)  # seconds since 1970
