"""Registers an app, and changes one. Only the answer to a form contains a secret."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from litestar import Response, post
from litestar.params import FromPath
from pydantic import BaseModel, Field

from app.console.forms import Form, read_form
from app.console.page import page, see_other
from app.console.registered_apps import PATH
from app.console.single_use import FormId, new_form_id, use_form
from app.http.api.actors import requesting_actor
from app.http.wire.handlers import RequestSession, get_or_head
from app.http.wire.ids import read_id
from app.oauth import registry
from app.oauth.app_list import find_app, view_app
from app.oauth.app_order import AppEdit, AppOrder
from app.oauth.app_view import WARNING, AppView
from app.oauth.names import MAX_CHARACTERS
from app.oauth.redirects import MAX_REDIRECTS
from app.oauth.refusals import AppConflict, InvalidAppOrder
from app.oauth.registry import tag_of
from app.services import AnyRequest, services_of

_ALREADY = "This form was sent before. Its app was registered then and its secret shown once, so nothing was done now."
_LONGEST = 30_000  # characters of the field with the redirects
_DESCRIBES_ITSELF = "This app describes itself, so it cannot be changed here: disable it instead."


class EditedApp(BaseModel):
    """The form to change an app. A line of `redirects` is a redirect URI."""

    name: Annotated[str, Field(max_length=1_000)]
    redirects: Annotated[str, Field(max_length=_LONGEST)]


class NewApp(EditedApp):
    """The form to register an app."""

    runs: Literal["server", "device"]
    form_id: FormId


@get_or_head(f"{PATH}/new")
async def show_form(request: AnyRequest) -> Response[str]:
    """Show the form."""
    return _form(request, {}, {})


@post(f"{PATH}/new")
async def register_app(request: AnyRequest, session: RequestSession) -> Response[str] | Response[None]:
    """Register the app, and show its secret once if it has one."""
    services_of(request.app).disk.require_space()
    form = await read_form(request, NewApp)
    if form.value is None:
        return _form(request, form.given, form.errors)
    now, sent = datetime.now(UTC), form.value
    order = AppOrder(sent.name.strip(), _lines(sent.redirects), sent.runs == "server")
    await use_form(session, request, sent.form_id, now, _ALREADY)
    try:
        new = await registry.register_app(session, order, requesting_actor(request), now)
    except InvalidAppOrder as refused:
        return _form(request, form.given, _errors_of(refused))
    if new.plaintext is None:
        return see_other(f"{PATH}/{new.app.id}")
    return await show_secret(request, session, new, now)


@get_or_head(f"{PATH}/{{app_id:str}}/edit")
async def show_edit(app_id: FromPath[str], request: AnyRequest, session: RequestSession) -> Response[str]:
    """Show the form with the app as it is."""
    app = await _editable(session, app_id)
    return _form(request, {"name": app.name, "redirects": "\n".join(app.redirect_uris)}, {}, app)


@post(f"{PATH}/{{app_id:str}}/edit")
async def change_app(
    app_id: FromPath[str], request: AnyRequest, session: RequestSession
) -> Response[str] | Response[None]:
    """Change the name and the redirects."""
    services_of(request.app).disk.require_space()
    app = await _editable(session, app_id)
    await session.rollback()  # so that the next transaction begins with a write
    form: Form[EditedApp] = await read_form(request, EditedApp)
    if form.value is None:
        return _form(request, form.given, form.errors, app)
    edit = AppEdit(form.value.name.strip(), _lines(form.value.redirects))
    try:
        row = await registry.change_app(session, app.id, edit, requesting_actor(request), datetime.now(UTC))
    except InvalidAppOrder as refused:
        return _form(request, form.given, _errors_of(refused), app)
    services_of(request.app).app_tokens.invalidate(tag_of(row))
    return see_other(f"{PATH}/{row.id}?done=changed")


ROUTES = (show_form, register_app, show_edit, change_app)


async def show_secret(
    request: AnyRequest, session: RequestSession, new: registry.NewSecret, now: datetime
) -> Response[str]:
    """The only page with the new secret of an app."""
    return page(
        request,
        "app_secret.html",
        status=201,
        app=await view_app(session, new.app, now),
        secret=new.plaintext,
        warning=WARNING,
    )


async def _editable(session: RequestSession, spelled: str) -> AppView:
    app = await view_app(session, await find_app(session, read_id(spelled)), datetime.now(UTC))
    if app.kind != "registered":
        raise AppConflict(_DESCRIBES_ITSELF)
    return app


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _errors_of(refused: InvalidAppOrder) -> dict[str, str]:
    """The faults by the fields of the form; a redirect by its line."""
    errors: dict[str, list[str]] = {}
    for fault in refused.faults:
        field, _, number = fault.field.partition(".")
        sentence = fault.message[:1].upper() + fault.message[1:]
        message = f"Redirect {int(number) + 1} {fault.message}." if number else f"{sentence}."
        errors.setdefault({"redirect_uris": "redirects"}.get(field, field), []).append(message)
    return {field: " ".join(messages) for field, messages in errors.items()}


def _form(
    request: AnyRequest, given: dict[str, Any], errors: dict[str, str], app: AppView | None = None
) -> Response[str]:
    return page(
        request,
        "app_form.html",
        status=400 if errors else 200,
        app=app,
        given={"name": "", "redirects": "", "runs": "", **given},
        errors=errors,
        most_characters=MAX_CHARACTERS,
        most_redirects=MAX_REDIRECTS,
        form_id=new_form_id(),
    )
