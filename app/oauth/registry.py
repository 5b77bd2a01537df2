"""Changes of the registry of apps by administrators. Each is one transaction, with its entry in the admin log."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.audit.actor import Actor
from app.audit.admin_log import Detail
from app.db.disk import carry_out
from app.db.session import lock_first
from app.db.tables.fields import MAX_ID
from app.db.tables.oauth_clients import OAuthClient
from app.identity.api_keys import digest
from app.identity.impersonation import refuse_impersonation
from app.identity.oauth_tokens import mint_token
from app.oauth.admin_log import record_act
from app.oauth.app_order import AppEdit, AppOrder, faults_of
from app.oauth.client import ClientKind, client_host, client_version
from app.oauth.grants import lock_grants
from app.oauth.refusals import AppConflict, InvalidAppOrder, NoSuchApp

MAX_REGISTERED = 10_000
OVERLAP_SECONDS = 86_400
MAX_OVERLAP_SECONDS = 30 * 86_400
_ID_BYTES = 12


@dataclass(frozen=True, slots=True)
class NewSecret:
    """An app with a secret that was just stored; `plaintext` is None for an app without one. Nothing else has it."""

    app: OAuthClient
    plaintext: str | None = field(repr=False)


def tag_of(app: OAuthClient) -> str:
    """The tag by which access tokens of an app are known, so that a change of it is obeyed at once."""
    return f"app:{app.id}"


def new_client_id() -> str:
    """The id of a new client: no secret, and never used again."""
    return f"app_{secrets.token_hex(_ID_BYTES)}"


def new_row(
    kind: ClientKind, name: str, redirect_uris: Sequence[str], secret: str | None, *, created_by: str, now: datetime
) -> OAuthClient:
    """The row of a new app, with a new client id. Of its secret the digest is stored."""
    client_id, uris = new_client_id(), list(redirect_uris)
    return OAuthClient(
        client_id=client_id,
        kind=kind,
        name=name,
        host=client_host(client_id, kind, uris) or None,
        redirect_uris=uris,
        version=client_version(uris),
        secret_digest=digest(secret) if secret else None,
        created_by=created_by,
        created_at=now,
        changed_at=now,
    )


async def register_app(session: AsyncSession, order: AppOrder, by: Actor, now: datetime) -> NewSecret:
    """Register an app. Raises Impersonated, InvalidAppOrder, and AppConflict if there are too many."""
    refuse_impersonation(by.impersonator)
    if faults := faults_of(order.name, order.redirect_uris, by_administrator=True):
        raise InvalidAppOrder(faults)
    await lock_first(session)
    if await _count(session) >= MAX_REGISTERED:
        raise AppConflict(
            f"There are {MAX_REGISTERED:,} registered apps, the most that there may be: remove one first."
        )
    secret = mint_token("secret") if order.confidential else None
    row = new_row("registered", order.name, order.redirect_uris, secret, created_by=by.subject, now=now)
    session.add(row)
    await session.flush()
    details: dict[str, Detail] = {"confidential": order.confidential, "redirect_uris": list(order.redirect_uris)}
    record_act(session, by, "app.register", row, now=now, details=details)
    await session.commit()
    return NewSecret(row, secret)


async def change_app(
    session: AsyncSession, app_id: int | None, change: AppEdit, by: Actor, now: datetime
) -> OAuthClient:
    """Change a registered app. Other redirects ask its users for consent again.

    Raises NoSuchApp, InvalidAppOrder, and AppConflict for an app that describes itself.
    """
    if faults := faults_of(change.name, change.redirect_uris, by_administrator=True):
        raise InvalidAppOrder(faults)
    row = await _locked(session, app_id)
    if row.kind != "registered":
        raise AppConflict("This app describes itself, so it cannot be changed here: disable it instead.")
    details: dict[str, Detail] = {}
    if change.name is not None and change.name != row.name:
        details["former_name"], row.name = row.name, change.name
    if change.redirect_uris is not None and list(change.redirect_uris) != row.redirect_uris:
        uris = list(change.redirect_uris)
        details["former_redirect_uris"], row.redirect_uris = list(row.redirect_uris), uris
        details["redirect_uris"] = uris
        row.host = client_host(row.client_id, "registered", uris) or None
        row.version = client_version(uris)
    if details:
        row.changed_at = now
        record_act(session, by, "app.change", row, now=now, details=details)
    await session.commit()
    return row


async def rotate_secret(
    session: AsyncSession, app_id: int | None, by: Actor, now: datetime, *, overlap_seconds: int = OVERLAP_SECONDS
) -> NewSecret:
    """Give a confidential app a new secret. The one before is accepted for `overlap_seconds`; 0 ends every former one.

    Raises Impersonated, NoSuchApp, and AppConflict for an app without a secret, or while two secrets are accepted
    already.
    """
    refuse_impersonation(by.impersonator)
    row = await _locked(session, app_id)
    if row.secret_digest is None:
        raise AppConflict("This app has no secret: register a confidential one instead.")
    until = row.former_until
    if overlap_seconds and until is not None and until > now:
        raise AppConflict(
            f"The secret was rotated, and the one before is accepted until {_text_of(until)}: wait until then, or "
            "rotate without an overlap, which ends both."
        )
    secret = mint_token("secret")
    row.former_digest = row.secret_digest if overlap_seconds else None
    row.former_until = now + timedelta(seconds=overlap_seconds) if overlap_seconds else None
    row.secret_digest = digest(secret)
    row.changed_at = now
    record_act(session, by, "app.rotate", row, now=now, details={"overlap_seconds": overlap_seconds})
    await session.commit()
    return NewSecret(row, secret)


async def disable_app(session: AsyncSession, app_id: int | None, by: Actor, now: datetime) -> OAuthClient:
    """Disable an app of any kind: nothing it was given is accepted any more. Raises NoSuchApp.

    Disabling again changes and records nothing.
    """

    async def disable() -> OAuthClient:
        row = await _locked(session, app_id)
        if row.disabled_at is None:
            row.disabled_at = row.changed_at = now
            record_act(session, by, "app.disable", row, now=now)
        await session.commit()
        return row

    return await carry_out(session, disable)


async def enable_app(session: AsyncSession, app_id: int | None, by: Actor, now: datetime) -> OAuthClient:
    """Enable a disabled app: what users allowed it counts again. Raises NoSuchApp."""
    row = await _locked(session, app_id)
    if row.disabled_at is not None:
        row.disabled_at, row.changed_at = None, now
        record_act(session, by, "app.enable", row, now=now)
    await session.commit()
    return row


async def remove_app(session: AsyncSession, app_id: int | None, by: Actor, now: datetime) -> OAuthClient:
    """Delete an app, with everything that users allowed it. Returns it as it was.

    Raises NoSuchApp, and AppConflict for a disabled app with a document, which only this row keeps from coming again.
    """

    async def remove() -> OAuthClient:
        row = await _locked(session, app_id)
        if row.kind == "document" and row.disabled_at is not None:
            raise AppConflict(
                "This app is known by its document, so without its entry here it would be enabled again: leave it "
                "disabled."
            )
        await lock_grants(session, row.id)
        record_act(session, by, "app.remove", row, now=now, details={"redirect_uris": list(row.redirect_uris)})
        await session.delete(row)
        await session.commit()
        return row

    return await carry_out(session, remove)


async def _count(session: AsyncSession) -> int:
    count = select(func.count()).select_from(OAuthClient).where(col(OAuthClient.kind) == "registered")
    return (await session.scalars(count)).one()


async def _locked(session: AsyncSession, app_id: int | None) -> OAuthClient:
    """The app with this id, which no other transaction changes now. Raises NoSuchApp."""
    if app_id is None or not 0 < app_id <= MAX_ID:
        raise NoSuchApp
    await lock_first(session)
    query = select(OAuthClient).where(col(OAuthClient.id) == app_id).with_for_update()
    row = (await session.scalars(query, execution_options={"populate_existing": True})).one_or_none()
    if row is None:
        raise NoSuchApp
    return row


def _text_of(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
