"""Profiles of gateways: the headers in which each gateway describes the original request.

A header that another program could read instead is refused: a duplicate, a header of another gateway, and a header
whose name differs only by `_` or `.`, which some servers convert to `-`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from app.gateway.canonical import path_fault
from app.gateway.proxies import FORWARDED_FOR, forwarded_for
from app.policy.routing.routes import METHODS

SECRET = b"x-gateway-secret"
SERVICE = b"x-gateway-service"
_GATEWAY_HEADERS = frozenset((SECRET, SERVICE))

# Headers from which any program reads a method, a path or an address. A profile refuses those that are not its own.
REQUEST_HEADERS = frozenset(
    (
        b"x-original-method",
        b"x-original-uri",
        b"x-original-url",
        b"x-original-ip",
        b"x-forwarded-method",
        b"x-forwarded-uri",
        b"x-envoy-original-path",
        b"x-forwarded-path",
        b"x-forwarded-prefix",
        b"x-http-method",
        b"x-http-method-override",
        b"x-method-override",
        b"x-rewrite-url",
    )
)
# The headers that a gateway sets for the upstream service. A similar header of a client would be sent as well.
IDENTITY_HEADERS = (
    b"x-auth-subject",
    b"x-auth-method",
    b"x-auth-permissions",
    b"x-auth-revision",
    b"x-auth-key-id",
    b"x-auth-client",
    b"x-auth-organization",
)
_CHECKED = (
    REQUEST_HEADERS
    | _GATEWAY_HEADERS
    | frozenset((*IDENTITY_HEADERS, b"authorization", FORWARDED_FOR, b"x-forwarded-host"))
)
# These may be repeated: repeated credentials have their own refusal, several lists of hops are one list, and the
# gateway replaces the identity headers of a client.
_REPEATABLE = frozenset((*IDENTITY_HEADERS, b"authorization", FORWARDED_FOR))
_FOLD = bytes.maketrans(b"_.", b"--")

# Without WEBSOCKET, which is not an HTTP method: the handshake is a GET.
_METHODS = {method.encode(): method for method in METHODS if method != "WEBSOCKET"}
MAX_URI_BYTES = 16 * 1024
# Scheme and host of an absolute URL. nginx takes the host from the client's Host header, nearly unchecked.
_ORIGIN = re.compile(rb"https?://(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?=/)")


class AmbiguousRequest(Exception):
    """A gateway's description of a request is ambiguous or invalid. The message is for its operator."""


@dataclass(frozen=True, slots=True)
class OriginalRequest:
    """The request that a gateway wants to forward: its method, its raw path without the query, and its service.

    `hops` are the values of `X-Forwarded-For` and the address that the gateway saw, the nearest hop last.
    """

    method: str
    path: str
    hops: tuple[bytes, ...] = ()
    service: str = ""


def _names(names: Iterable[bytes]) -> str:
    return ", ".join(f"`{name.decode().title()}`" for name in sorted(names))


@dataclass(frozen=True, slots=True)
class Profile:
    """How a gateway describes the original request.

    `request_headers` are the headers with its method and its URI. If there are none, the gateway sends the method of
    the original request, and its path after that of the endpoint. `ip` is the header with the address of the client. An
    `absolute` URI has scheme and host, which are ignored. `ignored` are headers that the gateway adds and that are not
    read. A gateway that `drops_bodies` passes on only the headers of an answer, so a denial has its body in one, too.

    Raises ValueError if other profiles would not refuse its `request_headers`.
    """

    name: str
    request_headers: tuple[bytes, bytes] | None
    ip: bytes
    absolute: bool = False
    ignored: frozenset[bytes] = frozenset()
    drops_bodies: bool = False
    foreign: frozenset[bytes] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if missing := set(self.request_headers or ()) - REQUEST_HEADERS:
            raise ValueError(f"add {_names(missing)} to REQUEST_HEADERS, so that the other profiles refuse it")
        known = (*(self.request_headers or ()), self.ip)
        object.__setattr__(self, "foreign", REQUEST_HEADERS - {*known, *self.ignored})

    def read(self, headers: Iterable[tuple[bytes, bytes]], method: bytes, rest: bytes) -> OriginalRequest:
        """Read the original request. `method` and `rest` are the method of the gateway's request, and what follows the
        path of the endpoint in its URI.

        Raises AmbiguousRequest.
        """
        headers = [(name.lower(), value) for name, value in headers]
        values = _checked_headers(headers, self.ip)
        if foreign := self.foreign & values.keys():
            raise AmbiguousRequest(f"{self.name} does not set the header {_names(foreign)}.")
        if self.request_headers is not None:
            if rest:
                raise AmbiguousRequest(f"The path of this endpoint is /gateway/{self.name}, and nothing after it.")
            missing = set(self.request_headers) - values.keys()
            if missing:
                raise AmbiguousRequest(f"{self.name} must send the header {_names(missing)}.")
            method, rest = (values[name] for name in self.request_headers)
            if self.absolute:
                rest = _without_origin(rest)
        known_method = _METHODS.get(method)
        if known_method is None:
            raise AmbiguousRequest("The method is not one that a rule can name.")
        service = values.get(SERVICE, b"").decode("latin-1")
        return OriginalRequest(known_method, _path(rest), self._hops(headers, values), service)

    def _hops(self, headers: Iterable[tuple[bytes, bytes]], values: Mapping[bytes, bytes]) -> tuple[bytes, ...]:
        """The lists of hops; none if the gateway does not send the address of its client."""
        if self.ip not in values:
            return ()
        lines = forwarded_for(headers)
        return lines if self.ip == FORWARDED_FOR else (*lines, values[self.ip])


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            # Its auth_request keeps the headers of an answer and discards the body.
            Profile("nginx", (b"x-original-method", b"x-original-uri"), b"x-original-ip", drops_bodies=True),
            Profile("ingress-nginx", (b"x-original-method", b"x-original-url"), b"x-real-ip", absolute=True),
            # StripPrefix adds the prefix that it removed; X-Forwarded-Uri is the rest, which the service gets.
            Profile(
                "traefik",
                (b"x-forwarded-method", b"x-forwarded-uri"),
                FORWARDED_FOR,
                ignored=frozenset((b"x-forwarded-prefix",)),
            ),
            Profile("caddy", (b"x-forwarded-method", b"x-forwarded-uri"), FORWARDED_FOR),
            Profile("envoy", None, b"x-envoy-external-address"),
        )
    }
)


def _checked_headers(headers: Iterable[tuple[bytes, bytes]], ip: bytes) -> dict[bytes, bytes]:
    values: dict[bytes, bytes] = {}
    for name, value in headers:
        folded = name.translate(_FOLD)
        if folded in _CHECKED or folded == ip:
            if folded != name:
                raise AmbiguousRequest(f"The name of a header is similar to {_names([folded])}.")
            if name in values and name not in _REPEATABLE:
                raise AmbiguousRequest(f"The header {_names([name])} is sent more than once.")
            values[name] = value
    return values


def _without_origin(uri: bytes) -> bytes:
    origin = _ORIGIN.match(uri)
    if origin is None:
        raise AmbiguousRequest("The URI is not scheme, host and path.")
    return uri[origin.end() :]


def _path(uri: bytes) -> str:
    if len(uri) > MAX_URI_BYTES:
        raise AmbiguousRequest(f"The URI is longer than {MAX_URI_BYTES} bytes.")
    if b"#" in uri:
        raise AmbiguousRequest("The URI has a fragment.")
    path = uri.partition(b"?")[0]
    if fault := path_fault(path):
        raise AmbiguousRequest(fault)
    return path.decode("ascii")
