"""Revokes and rotates keys, each after a confirmation page."""

from __future__ import annotations

from datetime import UTC, datetime

from litestar import Response, post
from litestar.params import FromPath
from pydantic import BaseModel

from app.console.forms import read_form
from app.console.keys import PATH, badge
from app.console.new_key import grantable, show_plaintext
from app.console.overlaps import OVERLAPS, Overlap
from app.console.page import page, see_other
from app.console.single_use import FormId, new_form_id, use_form
from app.http.api.actors import requesting_actor
from app.http.wire.handlers import RequestSession, get_or_head
from app.http.wire.ids import read_id
from app.http.wire.problems import Problem
from app.keys.api_keys import own_key, successor_of
from app.keys.revocations import revoke_own_key
from app.services import AnyRequest, services_of

_ALREADY = "This form was sent before. The new key was issued then and shown once, so nothing was done now."


class Rotation(BaseModel):
    """The form to rotate a key."""

    grace: Overlap
    form_id: FormId


@get_or_head(f"{PATH}/{{key_id:str}}/revoke")
async def ask_to_revoke(key_id: FromPath[str], request: AnyRequest, session: RequestSession) -> Response[str]:
    """Ask for confirmation."""
    key = await own_key(session, request.user.subject, read_id(key_id))
    return page(request, "key_revoke.html", key=key, badge=badge(key, datetime.now(UTC)))


@post(f"{PATH}/{{key_id:str}}/revoke")
async def revoke_key(key_id: FromPath[str], request: AnyRequest, session: RequestSession) -> Response[None]:
    """Revoke a key; its next request is refused."""
    services = services_of(request.app)
    key = await revoke_own_key(session, read_id(key_id), requesting_actor(request), datetime.now(UTC))
    services.verifier.invalidate(key.id)
    return see_other(f"{PATH}/{key.id}?done=revoked")


@get_or_head(f"{PATH}/{{key_id:str}}/rotate")
async def ask_to_rotate(key_id: FromPath[str], request: AnyRequest, session: RequestSession) -> Response[str]:
    """Ask how long both keys work."""
    services = services_of(request.app)
    key = await own_key(session, request.user.subject, read_id(key_id))
    now = datetime.now(UTC)
    successor = await successor_of(session, key)
    successor_badge = badge(successor, now) if successor else None
    held = {permission.name for permission in grantable(request.user, services.live)}
    return page(
        request,
        "key_rotate.html",
        key=key,
        badge=badge(key, now),
        successor=successor,
        successor_badge=successor_badge,
        may_rotate_successor=successor_badge is not None and successor_badge.is_active,
        lost=sorted(set(key.scopes) - held),
        graces=OVERLAPS,
        form_id=new_form_id(),
    )


@post(f"{PATH}/{{key_id:str}}/rotate")
async def rotate_key(key_id: FromPath[str], request: AnyRequest, session: RequestSession) -> Response[str]:
    """Issue the new key and show it once."""
    services = services_of(request.app)
    form = await read_form(request, Rotation)
    if form.value is None:
        raise Problem(400, "Choose how long the old key keeps working, and send the form again.")
    now = datetime.now(UTC)
    await use_form(session, request, form.value.form_id, now, _ALREADY)
    grace = int(form.value.grace)
    by = requesting_actor(request)
    new, old = await services.key_issuer.rotate(
        session, request.user, read_id(key_id), grace_seconds=grace, now=now, by=by
    )
    return show_plaintext(request, new, now, old)


ROUTES = (ask_to_revoke, revoke_key, ask_to_rotate, rotate_key)
