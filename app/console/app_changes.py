"""Rotates the secret of an app, disables, enables and removes one, each after a confirmation page."""

from __future__ import annotations

from datetime import UTC, datetime

from litestar import Response, post
from litestar.params import FromPath
from pydantic import BaseModel

from app.console.forms import read_form
from app.console.new_app import show_secret
from app.console.overlaps import OVERLAPS, Overlap
from app.console.page import page, see_other
from app.console.registered_apps import PATH
from app.console.single_use import FormId, new_form_id, use_form
from app.http.api.actors import requesting_actor
from app.http.wire.handlers import RequestSession, get_or_head
from app.http.wire.ids import read_id
from app.http.wire.problems import Problem
from app.oauth import registry
from app.oauth.app_list import find_app, view_app
from app.oauth.registry import tag_of
from app.services import AnyRequest, services_of

_ALREADY = "This form was sent before. The new secret was shown once then, so nothing was done now."


class SecretRotation(BaseModel):
    """The form to rotate a secret."""

    overlap: Overlap
    form_id: FormId


@get_or_head(f"{PATH}/{{app_id:str}}/rotate")
async def ask_to_rotate(app_id: FromPath[str], request: AnyRequest, session: RequestSession) -> Response[str]:
    """Ask for how long both secrets are accepted."""
    app = await view_app(session, await find_app(session, read_id(app_id)), datetime.now(UTC))
    overlaps = {"0": OVERLAPS["0"]} if app.former_secret_until else OVERLAPS
    return page(request, "app_rotate.html", app=app, overlaps=overlaps, form_id=new_form_id())


@post(f"{PATH}/{{app_id:str}}/rotate")
async def rotate_secret(app_id: FromPath[str], request: AnyRequest, session: RequestSession) -> Response[str]:
    """Make the new secret and show it once."""
    services_of(request.app).disk.require_space()
    form = await read_form(request, SecretRotation)
    if form.value is None:
        raise Problem(400, "Choose for how long the old secret is accepted, and send the form again.")
    now, overlap = datetime.now(UTC), int(form.value.overlap)
    await use_form(session, request, form.value.form_id, now, _ALREADY)
    by = requesting_actor(request)
    new = await registry.rotate_secret(session, read_id(app_id), by, now, overlap_seconds=overlap)
    return await show_secret(request, session, new, now)


@get_or_head(f"{PATH}/{{app_id:str}}/disable")
async def ask_to_disable(app_id: FromPath[str], request: AnyRequest, session: RequestSession) -> Response[str]:
    """Ask for confirmation."""
    app = await view_app(session, await find_app(session, read_id(app_id)), datetime.now(UTC))
    return page(request, "app_disable.html", app=app)


@post(f"{PATH}/{{app_id:str}}/disable")
async def disable_app(app_id: FromPath[str], request: AnyRequest, session: RequestSession) -> Response[None]:
    """Disable an app; the next request of it is refused."""
    row = await registry.disable_app(session, read_id(app_id), requesting_actor(request), datetime.now(UTC))
    services_of(request.app).app_tokens.invalidate(tag_of(row))
    return see_other(f"{PATH}/{row.id}?done=disabled")


@post(f"{PATH}/{{app_id:str}}/enable")
async def enable_app(app_id: FromPath[str], request: AnyRequest, session: RequestSession) -> Response[None]:
    """Enable a disabled app."""
    services_of(request.app).disk.require_space()
    row = await registry.enable_app(session, read_id(app_id), requesting_actor(request), datetime.now(UTC))
    services_of(request.app).app_tokens.invalidate(tag_of(row))
    return see_other(f"{PATH}/{row.id}?done=enabled")


@get_or_head(f"{PATH}/{{app_id:str}}/remove")
async def ask_to_remove(app_id: FromPath[str], request: AnyRequest, session: RequestSession) -> Response[str]:
    """Ask for confirmation."""
    app = await view_app(session, await find_app(session, read_id(app_id)), datetime.now(UTC))
    return page(request, "app_remove.html", app=app)


@post(f"{PATH}/{{app_id:str}}/remove")
async def remove_app(app_id: FromPath[str], request: AnyRequest, session: RequestSession) -> Response[None]:
    """Delete an app, with everything that users allowed it."""
    row = await registry.remove_app(session, read_id(app_id), requesting_actor(request), datetime.now(UTC))
    services_of(request.app).app_tokens.invalidate(tag_of(row))
    return see_other(f"{PATH}?done=removed")


ROUTES = (ask_to_rotate, rotate_secret, ask_to_disable, disable_app, enable_app, ask_to_remove, remove_app)
