"""Redirect URIs: which ones a client may have, and how the one in a request is compared with them (RFC 8252).

Nothing is normalized: what a browser would read as another address than this program does is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

MAX_REDIRECTS = 20
MAX_CHARACTERS = 1_000
# The characters of RFC 3986, without `#`: a fragment would end up behind the parameters of the answer.
_URI = re.compile(r"([a-z][a-z0-9+.-]*):([A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+)")
_AUTHORITY = re.compile(r"//(\[[0-9a-f:.]+\]|[^\[\]:/?]*)(?::([1-9][0-9]{0,4}))?([/?].*)?")
_HOST = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
# A scheme of the operating system belongs to an app only if it is a reversed name that the app owns (RFC 8252, 7.1).
_PRIVATE_SCHEME = re.compile(r"[a-z]{2,}(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
_PRIVATE_REST = re.compile(r"//[A-Za-z0-9.-]*([/?].*)?|/([^/].*)?")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DOT_SEGMENT = re.compile(r"/(\.|%2e){1,2}(?=[/?]|$)", re.IGNORECASE)
_LOOPBACK = ("127.0.0.1", "[::1]", "localhost")
_MAX_HOST = 253
_MAX_PORT = 65_535


class WebAddress(NamedTuple):
    """The parts of an https or http URI. `rest` are its path and its query."""

    scheme: str
    host: str
    port: int | None
    rest: str


def redirect_fault(uri: str, *, private_schemes: bool) -> str | None:
    """Why a client cannot have this redirect URI; None if it can.

    With `private_schemes` a scheme such as `com.example.app` is accepted, which only an administrator may enter.
    """
    if len(uri) > MAX_CHARACTERS:
        return f"must have at most {MAX_CHARACTERS:,} characters"
    if "#" in uri:
        return "must not have a fragment"
    found = _URI.fullmatch(uri)
    if found is None:
        return "must be an absolute URI in ASCII with its scheme in lower case, such as https://app.example/callback"
    if _BAD_ESCAPE.search(uri):
        return "must have two hexadecimal digits after each %"
    if _DOT_SEGMENT.search(uri.partition("?")[0]):
        return "must not have `.` or `..` as a part of its path"
    scheme = found[1]
    if scheme not in ("https", "http"):
        return _private_fault(scheme, found[2], private_schemes=private_schemes)
    address = web_address(uri)
    if address is None:
        return "must have a host in lower case and ASCII, no user, and a port from 1 to 65535 if it has one"
    if scheme == "http" and address.host not in _LOOPBACK:
        return f"must begin with https://; http:// is for {', '.join(_LOOPBACK)} alone"
    return None


def redirect_matches(registered: Iterable[str], requested: str) -> bool:
    """Whether a requested redirect URI is one of a client.

    For http on a loopback host the port may differ, since an app takes one that is free (RFC 8252, 7.3); any other URI
    must be equal byte for byte.
    """
    wanted = _loopback(requested)
    return any(requested == uri or (wanted is not None and _loopback(uri) == wanted) for uri in registered)


def host_of(uri: str) -> str:
    """The host of an https URI; empty for other URIs, and with another port, which may belong to another app."""
    address = web_address(uri)
    if address is None or address.scheme != "https" or address.port not in (None, 443):
        return ""
    return address.host


def common_host(uris: Sequence[str]) -> str:
    """The host of redirect URIs; empty unless all are https with the same one.

    An app that has others, too, may receive at another place what was meant for the host.
    """
    hosts = {host_of(uri) for uri in uris}
    return hosts.pop() if len(hosts) == 1 else ""


def _private_fault(scheme: str, rest: str, *, private_schemes: bool) -> str | None:
    if not private_schemes:
        return "must begin with https://, or with http:// and a loopback host"
    if _PRIVATE_SCHEME.fullmatch(scheme) is None:
        return "must begin with https://, or with a scheme that is a reversed domain name, such as com.example.app:"
    if _PRIVATE_REST.fullmatch(rest) is None:
        return "must have a path after its scheme, as in com.example.app:/callback"
    return None


def web_address(uri: str) -> WebAddress | None:
    """The parts of an https or http URI; None for other URIs, and for one that programs could read differently."""
    found = _URI.fullmatch(uri)
    if found is None or found[1] not in ("https", "http"):
        return None
    authority = _AUTHORITY.fullmatch(found[2])
    if authority is None or not _is_host(authority[1]):
        return None
    port = int(authority[2]) if authority[2] else None
    if port is not None and port > _MAX_PORT:
        return None
    return WebAddress(found[1], authority[1], port, authority[3] or "")


def _is_host(host: str) -> bool:
    try:
        if host.startswith("["):  # in one spelling, so that a row about the host applies to it
            return str(IPv6Address(host[1:-1])) == host[1:-1]
        # Browsers read a host whose last label is a number as an IPv4 address: 127.1, 0x7f.1.
        if host.rpartition(".")[2].isdigit() or re.fullmatch(r"0x[0-9a-f]*", host.rpartition(".")[2]):
            return str(IPv4Address(host)) == host
    except AddressValueError:
        return False
    return len(host) <= _MAX_HOST and _HOST.fullmatch(host) is not None


def _loopback(uri: str) -> tuple[str, str] | None:
    """The host, and the path with the query, of an http URI on a loopback host; None for other URIs."""
    address = web_address(uri) if len(uri) <= MAX_CHARACTERS else None
    if address is None or address.scheme != "http" or address.host not in _LOOPBACK:
        return None
    return address.host, address.rest
