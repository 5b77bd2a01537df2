"""Forms: protection against forgery, and validation."""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, get_origin
from urllib.parse import parse_qsl

from litestar.datastructures import FormMultiDict
from litestar.enums import HttpMethod
from pydantic import BaseModel, ValidationError

from app.console.page import csrf_of
from app.http.wire.problems import Problem
from app.services import AnyRequest, services_of

TOO_LARGE = "This form is larger than any of this console, so nothing was done."
_FORM = "application/x-www-form-urlencoded"
# For routes whose forms carry a draft of a policy. To decode one takes a second at most, in a thread.
MAX_DRAFT_BYTES = 4_000_000
OF_DRAFT = {"form_of_draft": True}
_MAX_BYTES = 65_536  # of any other form
_FORM_KEY = "console_form"
_MAX_FIELDS = 2_000
_SAFE = (HttpMethod.GET, HttpMethod.HEAD, HttpMethod.OPTIONS)
_Model = TypeVar("_Model", bound=BaseModel)


async def only_own_forms(request: AnyRequest) -> None:
    """For `before_request` of every page: accept only forms of our own pages from the same session.

    Raises Problem 403, 415 for a body that is not a form, 400 for one that is not in UTF-8, and 413 for one with more
    bytes or fields than our pages send: to decode a megabyte takes a tenth of a second.
    """
    if request.method in _SAFE:
        return
    console = services_of(request.app).console
    if console is None:
        raise Problem(404, "This deployment has no console.")
    origin = request.headers.get("origin")
    if origin is not None and origin != console.url:
        raise Problem(403, "This form was sent from another site, so nothing was done.")
    if request.content_type[0] != _FORM:
        raise Problem(415, "A form is sent as application/x-www-form-urlencoded.")
    body = await request.body()
    most = MAX_DRAFT_BYTES if "form_of_draft" in request.route_handler.opt else _MAX_BYTES
    if len(body) > most or body.count(b"&") >= _MAX_FIELDS:
        raise Problem(413, TOO_LARGE)
    try:
        form = _decoded(body) if len(body) <= _MAX_BYTES else await asyncio.to_thread(_decoded, body)
    except ValueError:  # decoding would replace characters
        raise Problem(400, "This form is not in UTF-8, so nothing was done.") from None
    request.scope["state"][_FORM_KEY] = form
    expected = csrf_of(request)
    given = request.headers.get("x-csrf-token") or str(form.get("csrf", ""))
    if not expected or not hmac.compare_digest(given.encode(), expected.encode()):
        raise Problem(
            403, "This form is from another session, so nothing was done. Go back, reload, and send it again."
        )


@dataclass(frozen=True, slots=True)
class Form(Generic[_Model]):
    """A form that was sent. `value` is None if there are `errors`, by field."""

    value: _Model | None
    errors: dict[str, str]
    given: dict[str, Any]


def sent_form(request: AnyRequest) -> FormMultiDict:
    """The fields of a form that `only_own_forms` accepted; Litestar would keep the last thousand that it decodes."""
    form: FormMultiDict | None = request.scope["state"].get(_FORM_KEY)
    return FormMultiDict() if form is None else form  # none is read for GET


def _decoded(body: bytes) -> FormMultiDict:
    return FormMultiDict(parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict"))


async def read_form(request: AnyRequest, model: type[_Model]) -> Form[_Model]:
    """Validate a form. An empty field counts as left out; a field of a list may be repeated."""
    sent = sent_form(request)
    given: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        values = [str(value) for value in sent.getall(name, [])]
        if get_origin(field.annotation) in (list, tuple):
            given[name] = values
        elif values and values[-1] != "":
            given[name] = values[-1]
    try:
        return Form(model.model_validate(given), {}, given)
    except ValidationError as faults:
        errors = {
            str(error["loc"][0]) if error["loc"] else "": _say(error["type"], error["msg"]) for error in faults.errors()
        }
        return Form(None, errors, given)


def _say(kind: str, message: str) -> str:
    return "This field is required." if kind == "missing" else message.removeprefix("Value error, ")
