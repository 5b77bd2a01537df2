"""The response with the data that a handler returns, made in a fifth of Litestar's steps.

Nearly all are JSON without headers or cookies of their own, so that there is nothing to merge. All others are those of
Litestar.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar, cast

import msgspec
from litestar import Request, Response
from litestar.background_tasks import BackgroundTask, BackgroundTasks
from litestar.response.base import ASGIResponse
from litestar.serialization import default_serializer
from litestar.types import Empty, Receive, Scope, Send

_T = TypeVar("_T")
_TypeEncoders = dict[Any, Callable[[Any], Any]]
_JSON = "application/json"
_CONTENT_TYPE = (b"content-type", _JSON.encode())
_WITHOUT_BODY = (204, 304)
_MAX_ENCODERS = 10_000
_plain_encoder = msgspec.json.Encoder(enc_hook=default_serializer)
# JSON encoders by the id of a handler's type encoders, which are kept, so that no others get the same id.
_encoders: dict[int, tuple[_TypeEncoders, msgspec.json.Encoder]] = {}


class EncodedResponse(ASGIResponse):
    """A JSON response that is encoded already."""

    __slots__ = ()

    def __init__(self, status_code: int, body: bytes) -> None:
        self.status_code = status_code
        self.body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        body = self.body
        headers = [_CONTENT_TYPE, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


class DataResponse(Response[_T]):
    """Litestar's response, and an equal one in fewer steps if it is plain JSON."""

    __slots__ = ()

    def __init__(
        self,
        content: _T,
        *,
        background: BackgroundTask | BackgroundTasks | None = None,
        media_type: Any = None,
        status_code: int | None = None,
        type_encoders: Mapping[Any, Callable[[Any], Any]] | None = None,
        **options: Any,
    ) -> None:
        if options:
            super().__init__(
                content,
                background=background,
                media_type=media_type,
                status_code=status_code,
                type_encoders=type_encoders,
                **options,
            )
            return
        # As the base class does with no options.
        self.content = content
        self.background = background
        self.cookies = []
        self.encoding = "utf-8"
        self.headers = {}
        self.media_type = media_type
        self.status_code = status_code
        self.response_type_encoders = cast(_TypeEncoders, type_encoders or {})

    def to_asgi_response(
        self,
        app: Any,
        request: Request[Any, Any, Any],
        *,
        headers: dict[str, str] | None = None,
        cookies: Any = None,
        **options: Any,
    ) -> ASGIResponse:
        """The response to send; an error of encoding is Litestar's."""
        status = self.status_code
        if (
            self.media_type == _JSON
            and status is not None
            and status >= 200
            and not (headers or cookies or options or self.headers or self.cookies or self.background)
            and status not in _WITHOUT_BODY
            and (content := self.content) is not Empty
            and not isinstance(content, (bytes, str))  # sent as they are
            and (body := _encoded(content, self.response_type_encoders)) is not None
        ):
            return EncodedResponse(status, body)
        return super().to_asgi_response(app, request, headers=headers, cookies=cookies, **options)


def _encoded(content: object, type_encoders: _TypeEncoders) -> bytes | None:
    """The content as JSON; None if that fails, which Litestar then reports."""
    try:
        return _encoder(type_encoders).encode(content)
    except Exception:  # noqa: BLE001  # of any type encoder
        return None


def _encoder(type_encoders: _TypeEncoders) -> msgspec.json.Encoder:
    if not type_encoders:
        return _plain_encoder
    key = id(type_encoders)
    found = _encoders.get(key)
    if found is None:
        if len(_encoders) >= _MAX_ENCODERS:
            _encoders.clear()
        hook = partial(default_serializer, type_encoders=type_encoders)
        found = _encoders[key] = type_encoders, msgspec.json.Encoder(enc_hook=hook)
    return found[1]
