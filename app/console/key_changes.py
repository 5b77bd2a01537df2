"""Revokes and rotates keys, each after a confirmation page."""

from __future__ import annotations

from datetime import UTC, datetime

from litestar import Response, post
from litestar.params import FromPath
from pydantic import BaseModel

from app.console.forms import read_form
from app.console.key_section import ORGANIZATION, OWN, KeySection, organization_section, own_section
from app.console.keys import badge
from app.console.new_key import grantable, show_plaintext
from app.console.overlaps import OVERLAPS, Overlap
from app.console.page import page, see_other
from app.console.single_use import FormId, new_form_id, use_form
from app.http.api.actors import requesting_actor
from app.http.wire.handlers import RequestSession, get_or_head
from app.http.wire.ids import read_id
from app.http.wire.problems import Problem
from app.keys.api_keys import own_key, successor_of
from app.keys.revocations import revoke_key_of
from app.services import AnyRequest, services_of

_ALREADY = "This form was sent before. The new key was issued then and shown once, so nothing was done now."


class Rotation(BaseModel):
    """The form to rotate a key."""

    grace: Overlap
    form_id: FormId


@get_or_head(f"{OWN}/{{key_id:str}}/revoke")
async def ask_to_revoke(key_id: FromPath[str], request: AnyRequest, session: RequestSession) -> Response[str]:
    """Ask for confirmation."""
    return await _ask_to_revoke(request, session, own_section(request), key_id)


@get_or_head(f"{ORGANIZATION}/{{key_id:str}}/revoke")
async def ask_to_revoke_of_organization(
    key_id: FromPath[str], request: AnyRequest, session: RequestSession
) -> Response[str]:
    """Ask for confirmation, for a key of the user's organization."""
    return await _ask_to_revoke(request, session, organization_section(request), key_id)


@post(f"{OWN}/{{key_id:str}}/revoke")
async def revoke_key(key_id: FromPath[str], request: AnyRequest, session: RequestSession) -> Response[None]:
    """Revoke a key; its next request is refused."""
    return await _revoke(request, session, own_section(request), key_id)


@post(f"{ORGANIZATION}/{{key_id:str}}/revoke")
async def revoke_key_of_organization(
    key_id: FromPath[str], request: AnyRequest, session: RequestSession
) -> Response[None]:
    """Revoke a key of the user's organization; its next request is refused."""
    return await _revoke(request, session, organization_section(request), key_id)


@get_or_head(f"{OWN}/{{key_id:str}}/rotate")
async def ask_to_rotate(key_id: FromPath[str], request: AnyRequest, session: RequestSession) -> Response[str]:
    """Ask how long both keys work."""
    return await _ask_to_rotate(request, session, own_section(request), key_id)


@get_or_head(f"{ORGANIZATION}/{{key_id:str}}/rotate")
async def ask_to_rotate_of_organization(
    key_id: FromPath[str], request: AnyRequest, session: RequestSession
) -> Response[str]:
    """Ask how long both keys of the user's organization work."""
    return await _ask_to_rotate(request, session, organization_section(request), key_id)


@post(f"{OWN}/{{key_id:str}}/rotate")
async def rotate_key(key_id: FromPath[str], request: AnyRequest, session: RequestSession) -> Response[str]:
    """Issue the new key and show it once."""
    return await _rotate(request, session, own_section(request), key_id)


@post(f"{ORGANIZATION}/{{key_id:str}}/rotate")
async def rotate_key_of_organization(
    key_id: FromPath[str], request: AnyRequest, session: RequestSession
) -> Response[str]:
    """Issue the new key of the user's organization and show it once."""
    return await _rotate(request, session, organization_section(request), key_id)


ROUTES = (
    ask_to_revoke,
    ask_to_revoke_of_organization,
    revoke_key,
    revoke_key_of_organization,
    ask_to_rotate,
    ask_to_rotate_of_organization,
    rotate_key,
    rotate_key_of_organization,
)


async def _ask_to_revoke(
    request: AnyRequest, session: RequestSession, section: KeySection, key_id: str
) -> Response[str]:
    key = await own_key(session, section.owner.subject, read_id(key_id))
    return page(request, "key_revoke.html", owned=section, key=key, badge=badge(key, datetime.now(UTC)))


async def _revoke(request: AnyRequest, session: RequestSession, section: KeySection, key_id: str) -> Response[None]:
    by, now = requesting_actor(request), datetime.now(UTC)
    key = await revoke_key_of(session, section.owner.subject, read_id(key_id), by, now)
    services_of(request.app).verifier.invalidate(key.id)
    return see_other(f"{section.path}/{key.id}?done=revoked")


async def _ask_to_rotate(
    request: AnyRequest, session: RequestSession, section: KeySection, key_id: str
) -> Response[str]:
    key = await own_key(session, section.owner.subject, read_id(key_id))
    now = datetime.now(UTC)
    successor = await successor_of(session, key)
    successor_badge = badge(successor, now) if successor else None
    held = {permission.name for permission in grantable(section.owner, services_of(request.app).live)}
    return page(
        request,
        "key_rotate.html",
        owned=section,
        key=key,
        badge=badge(key, now),
        successor=successor,
        successor_badge=successor_badge,
        may_rotate_successor=successor_badge is not None and successor_badge.is_active,
        lost=sorted(set(key.scopes) - held),
        graces=OVERLAPS,
        form_id=new_form_id(),
    )


async def _rotate(request: AnyRequest, session: RequestSession, section: KeySection, key_id: str) -> Response[str]:
    form = await read_form(request, Rotation)
    if form.value is None:
        raise Problem(400, "Choose how long the old key keeps working, and send the form again.")
    now = datetime.now(UTC)
    await use_form(session, request, form.value.form_id, now, _ALREADY)
    grace, by = int(form.value.grace), requesting_actor(request)
    issuer = services_of(request.app).key_issuer
    new, old = await issuer.rotate(session, section.owner, read_id(key_id), grace_seconds=grace, now=now, by=by)
    return show_plaintext(request, section, new, now, old)
