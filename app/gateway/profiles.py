"""One profile for each gateway: which request it asks about, read from the one family of headers that it sets.

A header that another program could take for one of these is a reason to refuse: its twin, one of another family, and
one whose name differs by `_` or `.` alone, which some servers fold into `-`.
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
_OURS = frozenset((SECRET, SERVICE))

# What some program takes a method, a path or an address from, in one of these profiles or in none.
_STATING = frozenset(
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
# A gateway sets these for the upstream, and a look-alike from a client would stand beside them there.
ANSWERED = (b"x-auth-subject", b"x-auth-method", b"x-auth-permissions", b"x-auth-revision", b"x-auth-key-id")
_GUARDED = _STATING | _OURS | frozenset((*ANSWERED, b"authorization", FORWARDED_FOR, b"x-forwarded-host"))
# These may come more than once: credentials have an answer of their own, several lists of hops are one, and what a
# client says of itself beside a gateway's answer is replaced.
_REPEATED = frozenset((*ANSWERED, b"authorization", FORWARDED_FOR))
_FOLD = bytes.maketrans(b"_.", b"--")

# The requests that `METHODS` names, less the one that is none: a WebSocket starts as a GET.
_METHODS = {method.encode(): method for method in METHODS if method != "WEBSOCKET"}
MAX_URI_BYTES = 16 * 1024
# Of an absolute address, all before its path. A Host header is the client's own words, which nginx hardly checks.
_ORIGIN = re.compile(rb"https?://(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?=/)")


class NotPlain(Exception):
    """A gateway's question could be read in two ways, or cannot be read. The message is for its operator."""


@dataclass(frozen=True, slots=True)
class OriginalRequest:
    """The request that a gateway asks about: its method, its raw path without the query, and its service.

    `hops` are the lists of addresses that it came by, the nearest hop last.
    """

    method: str
    path: str
    hops: tuple[bytes, ...] = ()
    service: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """A gateway's way to ask. `request_headers` name the method and the address of the request; without them the
    question itself has both, the address behind that of the door.

    `ip` names the header with the address that the gateway saw. An `absolute` address has scheme and host, which decide
    nothing. `unread` are headers that the gateway's own parts add, and that decide nothing either.
    """

    name: str
    request_headers: tuple[bytes, bytes] | None
    ip: bytes
    absolute: bool = False
    unread: frozenset[bytes] = frozenset()
    foreign: frozenset[bytes] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        own = (*(self.request_headers or ()), self.ip)
        object.__setattr__(self, "foreign", _STATING - {*own, *self.unread})

    def read(self, headers: Iterable[tuple[bytes, bytes]], method: bytes, rest: bytes) -> OriginalRequest:
        """The request asked about. `method` and `rest` are the question's own method and what follows its address.

        Raises NotPlain.
        """
        headers = [(name.lower(), value) for name, value in headers]
        found = _stated(headers, self.ip)
        if foreign := self.foreign & found.keys():
            raise NotPlain(f"The header {_names(foreign)} is none that {self.name} sets.")
        if self.request_headers is not None:
            if rest:
                raise NotPlain(f"The address of this door is /gateway/{self.name}, without more.")
            missing = set(self.request_headers) - found.keys()
            if missing:
                raise NotPlain(f"{self.name} must send the header {_names(missing)}.")
            method, rest = (found[name] for name in self.request_headers)
            if self.absolute:
                rest = _without_origin(rest)
        known = _METHODS.get(method)
        if known is None:
            raise NotPlain("The method is not one that a rule can name.")
        service = found.get(SERVICE, b"").decode("latin-1")
        return OriginalRequest(known, _path(rest), self._hops(headers, found), service)

    def _hops(self, headers: Iterable[tuple[bytes, bytes]], found: Mapping[bytes, bytes]) -> tuple[bytes, ...]:
        """The lists of hops; without the address that the gateway itself saw, nothing is known."""
        if self.ip not in found:
            return ()
        lines = forwarded_for(headers)
        return lines if self.ip == FORWARDED_FOR else (*lines, found[self.ip])


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            Profile("nginx", (b"x-original-method", b"x-original-uri"), b"x-original-ip"),
            Profile("ingress-nginx", (b"x-original-method", b"x-original-url"), b"x-real-ip", absolute=True),
            # StripPrefix says what it took away; X-Forwarded-Uri is what is left, which the service gets.
            Profile(
                "traefik",
                (b"x-forwarded-method", b"x-forwarded-uri"),
                FORWARDED_FOR,
                unread=frozenset((b"x-forwarded-prefix",)),
            ),
            Profile("caddy", (b"x-forwarded-method", b"x-forwarded-uri"), FORWARDED_FOR),
            Profile("envoy", None, b"x-envoy-external-address"),
        )
    }
)


def _stated(headers: Iterable[tuple[bytes, bytes]], ip: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        folded = name.translate(_FOLD)
        if folded in _GUARDED or folded == ip:
            if folded != name:
                raise NotPlain(f"A header looks like {_names([folded])} and is another.")
            if name in found and name not in _REPEATED:
                raise NotPlain(f"The header {_names([name])} is sent more than once.")
            found[name] = value
    return found


def _without_origin(uri: bytes) -> bytes:
    origin = _ORIGIN.match(uri)
    if origin is None:
        raise NotPlain("The address is not scheme, host and path alone.")
    return uri[origin.end() :]


def _path(uri: bytes) -> str:
    if len(uri) > MAX_URI_BYTES:
        raise NotPlain(f"The address is longer than {MAX_URI_BYTES} bytes.")
    if b"#" in uri:
        raise NotPlain("The address has a fragment.")
    path = uri.partition(b"?")[0]
    if fault := path_fault(path):
        raise NotPlain(fault)
    return path.decode("ascii")


def _names(names: Iterable[bytes]) -> str:
    return ", ".join(f"`{name.decode().title()}`" for name in sorted(names))
