"""Revokes and rotates keys, each after a confirmation page."""

from __future__ import annotations

from datetime import UTC, datetime

from litestar import Response, post
from litestar.params import FromPath
from pydantic import BaseModel

from app.console.forms import read_form
from app.console.key_section import in_both_sections, section_of
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
from app.services import AnyRequest, services_of

_ALREADY = "This form was sent before. The new key was issued then and shown once, so nothing was done now."


class Rotation(BaseModel):
    """The form to rotate a key."""

    grace: Overlap
    form_id: FormId


@get_or_head(in_both_sections("/{key_id:str}/revoke"))
async def ask_to_revoke(key_id: FromPath[str], request: AnyRequest, session: RequestSession) -> Response[str]:
    """Ask for confirmation."""
    section = section_of(request)
    key = await own_key(session, section.owner.subject, read_id(key_id))
    return page(request, "key_revoke.html", owned=section, key=key, badge=badge(key, datetime.now(UTC)))


@post(in_both_sections("/{key_id:str}/revoke"))
async def revoke_key(key_id: FromPath[str], request: AnyRequest, session: RequestSession) -> Response[None]:
    """Revoke a key; its next request is refused."""
    section, by, now = section_of(request), requesting_actor(request), datetime.now(UTC)
    key = await services_of(request.app).key_issuer.revoke(session, section.owner, read_id(key_id), now=now, by=by)
    return see_other(f"{section.path}/{key.id}?done=revoked")


@get_or_head(in_both_sections("/{key_id:str}/rotate"))
async def ask_to_rotate(key_id: FromPath[str], request: AnyRequest, session: RequestSession) -> Response[str]:
    """Ask how long both keys work."""
    section, now = section_of(request), datetime.now(UTC)
    key = await own_key(session, section.owner.subject, read_id(key_id))
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


@post(in_both_sections("/{key_id:str}/rotate"))
async def rotate_key(key_id: FromPath[str], request: AnyRequest, session: RequestSession) -> Response[str]:
    """Issue the new key and show it once."""
    section = section_of(request)
    form = await read_form(request, Rotation)
    if form.value is None:
        raise Problem(400, "Choose how long the old key keeps working, and send the form again.")
    now = datetime.now(UTC)
    await use_form(session, request, form.value.form_id, now, _ALREADY)
    grace, by = int(form.value.grace), requesting_actor(request)
    issuer = services_of(request.app).key_issuer
    new, old = await issuer.rotate(session, section.owner, read_id(key_id), grace_seconds=grace, now=now, by=by)
    return show_plaintext(request, section, new, now, old)


ROUTES = (ask_to_revoke, revoke_key, ask_to_rotate, rotate_key)
