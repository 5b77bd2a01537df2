"""Where the issuer signs people in: its discovery document (OpenID Connect Discovery 1.0), read strictly."""

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
    """Where to sign in is not known. The message says why; it names no secret."""


@dataclass(frozen=True, slots=True)
class IssuerEndpoints:
    """The issuer's addresses. `states_issuer`: its answers say who answers (RFC 9207), so one that does not is none."""

    authorization: str
    token: str
    end_session: str | None
    states_issuer: bool


class Discovery:
    """The issuer's endpoints, asked for when needed and remembered for `FRESH_SECONDS`.

    While the issuer does not answer well, the last good ones are used until they are `STALE_SECONDS` old, and it is
    asked again at most every `COOLDOWN_SECONDS`. `get` fetches a document; `clock` is monotonic, in seconds.
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
        self._asking = asyncio.Lock()

    async def endpoints(self) -> IssuerEndpoints:
        """The issuer's endpoints. Raises Undiscovered."""
        async with self._asking:
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
            if self._known is None or now >= self._known_at + STALE_SECONDS:
                raise Undiscovered(self._why)
            return self._known


def read(body: bytes, issuer: str) -> IssuerEndpoints:
    """The endpoints of a document, which must be the one of this very issuer. Raises Undiscovered."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Undiscovered("the discovery document is no JSON") from None
    if not isinstance(document, dict):
        raise Undiscovered("the discovery document is no object")
    if document.get("issuer") != issuer:
        raise Undiscovered("the discovery document is another issuer's: AUTHZ_ISSUER and its `issuer` differ")
    methods = document.get("code_challenge_methods_supported")
    if methods is not None and (not isinstance(methods, list) or "S256" not in methods):
        raise Undiscovered("the issuer does not do PKCE with S256")
    plain = urlsplit(issuer).scheme == "http"
    ends = "end_session_endpoint"
    return IssuerEndpoints(
        _address(document, "authorization_endpoint", plain),
        _address(document, "token_endpoint", plain),
        _address(document, ends, plain) if document.get(ends) is not None else None,
        document.get("authorization_response_iss_parameter_supported") is True,
    )


def _address(document: dict[str, object], name: str, plain: bool) -> str:
    """An https address; where the issuer itself is on plain http, one on a loopback host will do."""
    address = document.get(name)
    if not isinstance(address, str) or len(address) > _MAX_ADDRESS:
        raise Undiscovered(f"the discovery document has no usable {name}")
    if not is_trustworthy(address) or "#" in address or (urlsplit(address).scheme == "http" and not plain):
        raise Undiscovered(f"the {name} is no https address")
    return address
