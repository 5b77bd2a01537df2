"""The views of an app that the API, the console and commands share."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from app.db.tables.oauth_clients import OAuthClient

WARNING = "Store this secret now — it will not be shown again. If you lose it, rotate it."


@dataclass(frozen=True, slots=True)
class AppView:
    """An app as administrators see it: never its secret.

    `host` is that of its document or of all its redirects; null without one. `former_secret_until` is when the secret
    before the last rotation ends; null if it has ended. `expires_at` is when an app that registered itself is deleted,
    unless a user allows it something before. `grants` is the number of users who allow it something now.
    """

    id: int
    client_id: str
    kind: str
    name: str
    host: str | None
    redirect_uris: list[str]
    is_confidential: bool
    is_enabled: bool
    created_by: str
    created_at: datetime
    changed_at: datetime
    disabled_at: datetime | None
    former_secret_until: datetime | None
    expires_at: datetime | None
    grants: int


@dataclass(frozen=True, slots=True)
class AppWithSecret:
    """An app with its new secret, which is shown only once; null for an app without one."""

    app: AppView
    client_secret: str | None = field(repr=False)
    warning: str | None


def view_of_app(row: OAuthClient, now: datetime, *, grants: int) -> AppView:
    """View an app as it is at this time."""
    until = row.former_until
    return AppView(
        id=row.id,
        client_id=row.client_id,
        kind=row.kind,
        name=row.name,
        host=row.host,
        redirect_uris=list(row.redirect_uris),
        is_confidential=row.secret_digest is not None,
        is_enabled=row.disabled_at is None,
        created_by=row.created_by,
        created_at=row.created_at,
        changed_at=row.changed_at,
        disabled_at=row.disabled_at,
        former_secret_until=until if until is not None and until > now else None,
        expires_at=row.expires_at,
        grants=grants,
    )


def view_with_secret(app: AppView, secret: str | None) -> AppWithSecret:
    """View an app with the secret that it got now."""
    return AppWithSecret(app, secret, WARNING if secret else None)
