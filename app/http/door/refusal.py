"""Refusals: responses 401, 403 and 503 that are encoded in advance, with challenges as in RFC 6750."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

import msgspec
from litestar.types import Receive, Scope, Send

from app.http.wire.scope_types import WEBSOCKET
from app.identity.errors import HEADER_FAULTS, AuthenticationFault, CannotVerify
from app.identity.principal import is_fact
from app.policy.engine.suspended import CannotDecide

FORBIDDEN = "Token is missing one or more required permissions."
_JSON = (b"content-type", b"application/json")
_NO_STORE = (b"cache-control", b"no-store")
_MAX_OTHERS = 1_000  # resources


@dataclass(frozen=True, slots=True)
class Refusal:
    """A complete response: status, headers and body."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    async def send(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; to a WebSocket handshake too, if the server supports that, else close the connection."""
        if scope["type"] == WEBSOCKET:
            await self._send_websocket(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        body = b"" if scope["method"] == "HEAD" else self.body
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _send_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
            return
        start = {"type": "websocket.http.response.start", "status": self.status, "headers": self.headers}
        await send(start)  # type: ignore[arg-type]  # Litestar's types do not know this extension of ASGI
        body = {"type": "websocket.http.response.body", "body": self.body, "more_body": False}
        await send(body)  # type: ignore[arg-type]  # as above


def refusal(status: int, detail: str, *headers: tuple[bytes, bytes]) -> Refusal:
    """A refusal with the single key `detail`."""
    return json_refusal(status, {"detail": detail}, *headers)


def json_refusal(status: int, content: object, *headers: tuple[bytes, bytes]) -> Refusal:
    """A refusal with a JSON document."""
    body = msgspec.json.encode(content)
    return Refusal(status, (_JSON, _NO_STORE, (b"content-length", str(len(body)).encode()), *headers), body)


def unavailable(fault: CannotVerify | CannotDecide) -> Refusal:
    """The 503, with `Retry-After`."""
    return refusal(503, fault.detail, (b"retry-after", str(fault.retry_after).encode()))


class Refusals:
    """The 401s and 403s of a deployment.

    If its public URL is known, each challenge also has the URL of its metadata (RFC 9728 section 5.1).
    """

    def __init__(self, metadata_url: str | None = None) -> None:
        self._metadata = {"resource_metadata": metadata_url} if metadata_url else {}
        self._scope: dict[str, str] = {}
        self._others: dict[str, Refusals] = {}
        self.unauthenticated: dict[AuthenticationFault, Refusal] = {}
        self.state_scopes(())
        self.forbidden: Callable[[tuple[str, ...]], Refusal] = lru_cache(maxsize=1024)(self._forbidden)

    def state_scopes(self, scopes: Iterable[str]) -> None:
        """Name these scopes in each 401: an app asks for them at first."""
        stated = " ".join(sorted(scopes))
        self._scope = {"scope": stated} if stated else {}
        # In place, since entrances hold the mapping.
        self.unauthenticated.update({fault: self._unauthenticated(fault) for fault in AuthenticationFault})
        self._others.clear()

    def with_metadata(self, metadata_url: str) -> Refusals:
        """The same refusals for another resource, whose metadata is at this URL."""
        found = self._others.get(metadata_url)
        if found is None:
            found = Refusals(metadata_url)
            found.state_scopes(self._scope.get("scope", "").split())
            if len(self._others) >= _MAX_OTHERS:  # the policy names few, but another policy may name others
                self._others.clear()
            self._others[metadata_url] = found
        return found

    def insufficient_scope(self, missing: tuple[str, ...]) -> tuple[bytes, bytes]:
        """The challenge of a 403. It has the missing permissions as `scope`, unless a fact is missing as well."""
        parameters = {"error": "insufficient_scope", "error_description": FORBIDDEN}
        if missing and not any(is_fact(grant) for grant in missing):
            parameters["scope"] = " ".join(missing)
        return self._challenge(**parameters)

    def _forbidden(self, missing: tuple[str, ...]) -> Refusal:
        """The 403 for a principal that lacks these grants."""
        return refusal(403, FORBIDDEN, self.insufficient_scope(missing))

    def ambiguous(self, detail: str) -> Refusal:
        """The 403 for an ambiguous request of a gateway, to which the application itself would respond with 400."""
        return refusal(403, detail, self._challenge(error="invalid_request", error_description=detail))

    def _unauthenticated(self, fault: AuthenticationFault) -> Refusal:
        if fault is AuthenticationFault.NOT_PROVIDED:  # RFC 6750 section 3.1: no error code without credentials
            return refusal(401, fault.value, self._challenge(**self._scope))
        error = "invalid_request" if fault in HEADER_FAULTS else "invalid_token"
        return refusal(401, fault.value, self._challenge(error=error, error_description=fault.value, **self._scope))

    def _challenge(self, **parameters: str) -> tuple[bytes, bytes]:
        text = ", ".join(f'{name}="{value}"' for name, value in {**parameters, **self._metadata}.items())
        return (b"www-authenticate", f"Bearer {text}".strip().encode())
