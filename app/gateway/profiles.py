"""One profile for each gateway: which request it asks about, read from the one family of headers that it sets.

A header that another program could take for one of these is a reason to refuse: its twin, one of another family, and
one whose name differs by `_` or `.` alone, which some servers fold into `-`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from app.gateway.canonical import path_fault
from app.policy.routes import METHODS

SECRET = b"x-gateway-secret"
SERVICE = b"x-gateway-service"
_OURS = frozenset((SECRET, SERVICE))

_NGINX = frozenset((b"x-original-method", b"x-original-uri", b"x-original-ip"))
_FORWARDED = frozenset((b"x-forwarded-method", b"x-forwarded-uri"))
# Whatever some program takes a method or a path from, though none of the profiles does.
_STRANGE = frozenset(
    (
        b"x-envoy-original-path",
        b"x-forwarded-path",
        b"x-forwarded-prefix",
        b"x-http-method",
        b"x-http-method-override",
        b"x-method-override",
        b"x-original-url",
        b"x-rewrite-url",
    )
)
_STATING = _NGINX | _FORWARDED | _STRANGE
# A gateway sets these for the upstream, and a look-alike from a client would stand beside them there.
ANSWERED = (b"x-auth-subject", b"x-auth-method", b"x-auth-permissions", b"x-auth-revision", b"x-auth-key-id")
_GUARDED = _STATING | _OURS | frozenset((*ANSWERED, b"authorization", b"x-forwarded-for", b"x-forwarded-host"))
_FOLD = bytes.maketrans(b"_.", b"--")

# The requests that `METHODS` names, less the one that is none: a WebSocket starts as a GET.
_METHODS = {method.encode(): method for method in METHODS if method != "WEBSOCKET"}
MAX_URI_BYTES = 16 * 1024


class NotPlain(Exception):
    """A gateway's question could be read in two ways, or cannot be read. The message is for whoever looks after it."""


@dataclass(frozen=True, slots=True)
class Original:
    """The request that a gateway asks about: its method, its raw path without the query, its client and its service."""

    method: str
    path: str
    ip: str | None = None
    service: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """A gateway's way to ask. Without `method` and `uri` it sends the request's own, behind its own address."""

    name: str
    method: bytes | None
    uri: bytes | None
    ip: bytes
    foreign: frozenset[bytes] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        own = {name for name in (self.method, self.uri, self.ip) if name}
        object.__setattr__(self, "foreign", _STATING - own)

    def read(self, headers: Iterable[tuple[bytes, bytes]], method: bytes, rest: bytes) -> Original:
        """The request asked about. `method` and `rest` are the question's own method and what follows its address.

        Raises NotPlain.
        """
        found = _stated(headers)
        if foreign := self.foreign & found.keys():
            raise NotPlain(f"The header {_names(foreign)} is none that {self.name} sets.")
        if self.uri is not None and self.method is not None:
            if rest:
                raise NotPlain(f"The address of this door is /gateway/{self.name}, without more.")
            missing = {self.uri, self.method} - found.keys()
            if missing:
                raise NotPlain(f"{self.name} must send the header {_names(missing)}.")
            method, rest = found[self.method], found[self.uri]
        known = _METHODS.get(method)
        if known is None:
            raise NotPlain("The method is not one that a rule can name.")
        return Original(known, _path(rest), _last(found.get(self.ip)), found.get(SERVICE, b"").decode("latin-1"))


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            Profile("nginx", b"x-original-method", b"x-original-uri", b"x-original-ip"),
            Profile("traefik", b"x-forwarded-method", b"x-forwarded-uri", b"x-forwarded-for"),
            Profile("caddy", b"x-forwarded-method", b"x-forwarded-uri", b"x-forwarded-for"),
            Profile("envoy", None, None, b"x-envoy-external-address"),
        )
    }
)


def _stated(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for raw, value in headers:
        name = raw.lower()
        if name in _GUARDED or name == b"x-envoy-external-address":
            if name in found and name not in ANSWERED and name != b"authorization":  # that one has its own answer
                raise NotPlain(f"The header {_names([name])} is sent more than once.")
            found[name] = value
        elif (b"_" in name or b"." in name) and (folded := name.translate(_FOLD)) in _GUARDED:
            raise NotPlain(f"A header looks like {_names([folded])} and is another.")
    return found


def _path(uri: bytes) -> str:
    if len(uri) > MAX_URI_BYTES:
        raise NotPlain(f"The address is longer than {MAX_URI_BYTES} bytes.")
    if b"#" in uri:
        raise NotPlain("The address has a fragment.")
    path = uri.partition(b"?")[0]
    if fault := path_fault(path):
        raise NotPlain(fault)
    return path.decode("ascii")


def _last(addresses: bytes | None) -> str | None:
    """Of a list of addresses the last one, which the gateway itself saw."""
    return addresses.rpartition(b",")[2].strip().decode("latin-1") if addresses else None


def _names(names: Iterable[bytes]) -> str:
    return ", ".join(f"`{name.decode().title()}`" for name in sorted(names))
