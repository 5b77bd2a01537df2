"""`before_request` hooks that refuse a request body that is not JSON."""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.exceptions import SerializationException

from app.http.wire.problems import Problem
from app.services import AnyRequest, services_of

NO_NUL = r"^[^\x00]*$"  # for text that is stored: PostgreSQL cannot store NUL
NOT_JSON = "The request body must be JSON: send Content-Type: application/json."
MAX_VALUES = 1_000  # in a body and in its lists and objects: twice as many as the longest of them may have
TOO_MANY_VALUES = f"The request body has more than {MAX_VALUES} fields and items."
_UTF8 = ("utf-8", "utf8")


async def only_json(request: Request[Any, Any, Any]) -> None:
    """Raises Problem 415 for another content type or encoding, and 400 for a body that is not a JSON object.

    So does one with more than `MAX_VALUES`: each that is invalid would be an error of its own, and take microseconds.
    """
    kind, parameters = request.content_type
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise Problem(415, NOT_JSON)
    if parameters.get("charset", "utf-8").strip('"').lower() not in _UTF8:
        raise Problem(415, "The request body must be in UTF-8.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "The request body must not be compressed.")
    try:
        body = await request.json()  # Litestar caches it for the handler
    except SerializationException:
        raise Problem(400, "The request body is not valid JSON.") from None
    except UnicodeDecodeError:
        raise Problem(400, "The request body is not valid UTF-8.") from None
    except RecursionError:
        raise Problem(400, "The request body is nested too deeply.") from None
    if not isinstance(body, dict):
        raise Problem(400, "The request body must be a JSON object.")
    if len(body) + sum([len(value) for value in body.values() if isinstance(value, (dict, list))]) > MAX_VALUES:
        raise Problem(400, TOO_MANY_VALUES)


async def json_where_room(request: AnyRequest) -> None:
    """As `only_json`, for what makes the database grow. Raises DiskShortage while there is no room for it."""
    services_of(request.app).disk.require_space()
    await only_json(request)


async def json_or_nothing(request: Request[Any, Any, Any]) -> None:
    """Like `only_json`, but accepts a request without a body."""
    if await request.body():
        await only_json(request)
