"""The issuer's endpoints, from its discovery document (OpenID Connect Discovery 1.0), read strictly."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.identity.address import is_trustworthy
from app.identity.fetch import FetchFailed

PATH = "/.well-known/openid-configuration"
FRESH_SECONDS = 600.0
STALE_SECONDS = 3600.0
COOLDOWN_SECONDS = 5.0
_MAX_ADDRESS = 2000


class Undiscovered(Exception):
    """The endpoints of the issuer are unknown. The message says why and contains no secret."""


@dataclass(frozen=True, slots=True)
class IssuerEndpoints:
    """The issuer's addresses. With `states_issuer` its answers must name the issuer (RFC 9207)."""

    authorization: str
    token: str
    end_session: str | None
    states_issuer: bool


class Discovery:
    """Fetches the issuer's endpoints on demand, and caches them for `FRESH_SECONDS`.

    While the issuer gives no valid answer, the cached endpoints are used until they are `STALE_SECONDS` old, with a
    retry at most every `COOLDOWN_SECONDS`. `get` fetches a document; `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        issuer: str,
        get: Callable[[str], Awaitable[tuple[int, bytes]]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._get = get
        self._clock = clock
        self._known: IssuerEndpoints | None = None
        self._known_at = -math.inf
        self._retry_at = -math.inf
        self._why = ""
        self._lock = asyncio.Lock()

    async def endpoints(self) -> IssuerEndpoints:
        """The issuer's endpoints. Raises Undiscovered."""
        async with self._lock:
            now = self._clock()
            if now >= self._known_at + FRESH_SECONDS and now >= self._retry_at:
                try:
                    status, body = await self._get(self._issuer.removesuffix("/") + PATH)
                    if status != 200:
                        raise Undiscovered(f"the discovery document has status {status}")
                    self._known, self._known_at = read(body, self._issuer), now
                except (FetchFailed, Undiscovered) as error:
                    self._why = str(error)
                    self._retry_at = self._clock() + COOLDOWN_SECONDS
            if now >= self._known_at + STALE_SECONDS:
                self._known = None
            if self._known is None:
                raise Undiscovered(self._why)
            return self._known


def read(body: bytes, issuer: str) -> IssuerEndpoints:
    """The endpoints of a discovery document, which must be that of `issuer`. Raises Undiscovered."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Undiscovered("the discovery document is not JSON") from None
    if not isinstance(document, dict):
        raise Undiscovered("the discovery document is not an object")
    if document.get("issuer") != issuer:
        raise Undiscovered("the discovery document is another issuer's: AUTHZ_ISSUER and its `issuer` differ")
    methods = document.get("code_challenge_methods_supported")
    if methods is not None and (not isinstance(methods, list) or "S256" not in methods):
        raise Undiscovered("the issuer does not support PKCE with S256")
    plain = urlsplit(issuer).scheme == "http"
    ends = "end_session_endpoint"
    return IssuerEndpoints(
        _address(document, "authorization_endpoint", plain),
        _address(document, "token_endpoint", plain),
        _address(document, ends, plain) if document.get(ends) is not None else None,
        document.get("authorization_response_iss_parameter_supported") is True,
    )


def _address(document: dict[str, object], name: str, plain: bool) -> str:
    """An https address; also http on a loopback host if the issuer itself uses plain http."""
    address = document.get(name)
    if not isinstance(address, str) or len(address) > _MAX_ADDRESS:
        raise Undiscovered(f"the discovery document has no usable {name}")
    if not is_trustworthy(address) or "#" in address or (urlsplit(address).scheme == "http" and not plain):
        raise Undiscovered(f"the {name} is not an https address")
    return address
