"""Types of settings that are addresses: origins, addresses of resources, hosts and networks."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

from app.identity.address import is_trustworthy
from app.settings_values import each, one_word, shown

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_MAPPED = IPv6Network("::ffff:0:0/96")  # all IPv4-mapped addresses
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*\.?", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*", re.IGNORECASE)
# A host without its scheme: a name with dots, a loopback name, or either with a port.
_BARE_HOST = re.compile(rf"(?:(?:{_LABEL}\.)+[a-z][a-z0-9-]*|localhost|[0-9.]+)\.?(?::[0-9]+)?", re.IGNORECASE)
_PORT_BEHIND = re.compile(r"[^:]+:[0-9]+|\[.*\]:[0-9]+|:[0-9]+")
_GOOGLE_CLIENT = ".apps.googleusercontent.com"
_CLIENT = "client:"  # before a client id that looks like a host


def _read_url(value: str, example: str) -> SplitResult:
    try:
        url = urlsplit(one_word(value))
        port = url.port
    except ValueError as error:
        raise ValueError(f"{shown(value)} is not an address ({error}); write it as {example}") from None
    host = url.hostname or ""
    if port == 0 or not (_HOST_NAME.fullmatch(host) or (":" in host and _is_ip(host))):
        raise ValueError(f"{shown(value)} is not an address; write it as {example}{_punycode(host)}")
    return url


def _punycode(host: str) -> str:
    if not host or host.isascii():
        return ""
    try:
        return f", with the host as browsers send it: {host.encode('idna').decode()}"
    except UnicodeError:
        return ""


def _origin_of(url: SplitResult) -> str:
    """Scheme, host and port as browsers write them (RFC 6454 section 6.2)."""
    scheme, host = url.scheme.lower(), (url.hostname or "").lower()
    shown_host = f"[{host}]" if ":" in host else host
    port = f":{url.port}" if url.port is not None and url.port != _DEFAULT_PORTS.get(scheme) else ""
    return f"{scheme}://{shown_host}{port}"


def origin(value: str) -> str:
    """An origin, such as `https://app.example.com`. Capitals, a last slash and a default port mean the same."""
    scheme, separator, rest = value.partition("://")
    if not separator or not _SCHEME.fullmatch(scheme):
        bare = value.partition("/")[0]
        hint = f"https://{bare.lower()}" if _BARE_HOST.fullmatch(bare) else "https://app.example.com"
        raise ValueError(f"{shown(value)} has no scheme; write it as {hint}")
    scheme = scheme.lower()
    if scheme not in _DEFAULT_PORTS and (near := get_close_matches(scheme, _DEFAULT_PORTS, 1, 0.7)):
        raise ValueError(f"{shown(value)} has the scheme {scheme}; did you mean {near[0]}?")
    url = _read_url(value, "https://app.example.com")
    if url.path not in ("", "/") or url.query or url.fragment or "?" in rest or "#" in rest or "@" in url.netloc:
        raise ValueError(f"{shown(value)} is more than an origin; write it as {_origin_of(url)}")
    return _origin_of(url)


def browser_origin(value: str) -> str:
    """An origin that browsers may call from; `*` is every one, `https://*.example.com` every subdomain."""
    if value == "*":
        return value
    scheme, separator, rest = value.partition("://*.")
    if separator and "*" not in rest and "." in rest:
        parent = origin(f"{scheme}://{rest}")
        return parent.replace("://", "://*.", 1)
    if "*" in value:
        raise ValueError(f"{shown(value)} has a * that is not a complete subdomain; write it as https://*.example.com")
    return origin(value)


def authorized_party(value: str) -> str:
    """An authorized party: an origin or a client id. A host without a scheme is refused as an incomplete origin."""
    if value.startswith(_CLIENT):
        return one_word(value.removeprefix(_CLIENT))
    if "://" in value or re.match(r"https?:", value, re.IGNORECASE):
        return origin(value)
    if "*" in value:
        raise ValueError(f"{shown(value)}: write each party in full, without *")
    bare = value.partition("/")[0]
    if "/" in value or (_BARE_HOST.fullmatch(bare) and not value.endswith(_GOOGLE_CLIENT)):
        hint = f"https://{bare.lower()}" if _BARE_HOST.fullmatch(bare) else "https://app.example.com"
        raise ValueError(
            f"{shown(value)} is not an origin without a scheme; write it as {hint}, or as {_CLIENT}{value[:60]} "
            "where it is a client id"
        )
    return one_word(value)


def base_address(value: str) -> str:
    """The public address of a deployment: scheme and host, https unless it is a loopback host."""
    scheme = value.partition("://")[0].lower()
    if scheme not in _DEFAULT_PORTS:
        raise ValueError("write an https:// address; http:// is for a loopback host only")
    url = _read_url(value, "https://authz.example.com")
    if scheme == "http" and url.hostname not in _LOOPBACK:
        raise ValueError("write an https:// address; http:// is for a loopback host only")
    if url.path not in ("", "/") or "?" in value or "#" in value or "@" in url.netloc:
        raise ValueError("write only scheme and host, such as https://authz.example.com")
    return _origin_of(url)


def http_address(value: str) -> str:
    """The address of a resource to fetch."""
    if value.partition("://")[0].lower() not in _DEFAULT_PORTS:
        raise ValueError(f"{shown(value)} is not an address; begin it with https:// (or http://)")
    url = _read_url(value, "https://issuer.example.com/path")
    if "#" in value:
        raise ValueError("has a fragment (#…), which is never sent: remove it")
    return url._replace(scheme=url.scheme.lower()).geturl()


def issuer_address(value: str) -> str:
    """An address of the issuer: https unless it is a loopback host."""
    address = http_address(value)
    if not is_trustworthy(address):
        raise ValueError(distrust(address))
    return address


def distrust(address: str) -> str:
    """The message for an address that is not trustworthy, without the address."""
    if "@" in urlsplit(address).netloc:
        return "has a user or password in it, which is not sent to the issuer: write the address without them"
    if not address.isascii() or "\\" in address:
        return "holds a character that clients read in different ways: write it in percent-encoding"
    return "write an https:// address; http:// is for a loopback host only"


def siem_address(value: str) -> str:
    """An address that the logs are sent to, https unless it is a loopback host. It may contain a secret."""
    try:
        address = http_address(value)
    except ValueError:
        raise ValueError("is not an address; write it as https://siem.example.com/in") from None
    if not is_trustworthy(address):
        raise ValueError(distrust(address).replace("is not sent to the issuer", "is not sent"))
    return address


def host(value: str) -> str:
    """An address or a name of this machine."""
    if "://" in value or "/" in value:
        raise ValueError(f"{shown(value)} is more than a host; write only a host, such as 0.0.0.0")
    if _PORT_BEHIND.fullmatch(value):
        name, _, port = value.rpartition(":")
        name = name.removeprefix("[").removesuffix("]") or "0.0.0.0"  # noqa: S104  # shown, not bound
        raise ValueError(f"{shown(value)} has a port; write {name} here, and the port {port} in AUTHZ_PORT (--port)")
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    if _is_ip(bare):
        return bare
    numeric = re.fullmatch(r"[0-9.]+", bare)
    if ":" in bare or numeric or not _HOST_NAME.fullmatch(bare):
        raise ValueError(f"{shown(value)} is not a host; write an address of this machine, such as 0.0.0.0")
    return bare


def network(value: str) -> IPv4Network | IPv6Network:
    """A network, or one address."""
    if "%" in value:
        raise ValueError(f"{shown(value)} has a zone, which addresses of requests do not have; remove it")
    try:
        return ip_network(value)
    except ValueError:
        pass
    try:
        meant = ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f"{shown(value)} is not a network; write it as 10.0.7.0/24 or as one address") from None
    raise ValueError(f"{shown(value)} is an address within a network; write the network as {meant}")


def limited(networks: Collection[IPv4Network | IPv6Network] | None) -> Collection[IPv4Network | IPv6Network] | None:
    """Networks that do not include all hosts, because requests from them may state the address of a client."""
    four = [network for network in networks or () if isinstance(network, IPv4Network)]
    six = [network for network in networks or () if isinstance(network, IPv6Network)]
    is_every = any(network.prefixlen == 0 for network in collapse_addresses(four))
    if is_every or any(network.prefixlen == 0 or network == _MAPPED for network in collapse_addresses(six)):
        raise ValueError(
            "name every host there is, and each would be believed; write your own networks alone, such as 10.0.7.0/24"
        )
    return networks


def _none_or_networks(value: object) -> object:
    """The networks of proxies; `none` if there is no proxy. An empty text, as templates write it, counts as unset."""
    if isinstance(value, str) and value.lower() == "none":
        return ()
    return None if value == "" else each(network)(value)


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _named(value: object) -> object:
    if value == "":
        raise ValueError("is empty, which would accept any party: name the parties, or remove the variable")
    return value


HttpAddress = Annotated[str, AfterValidator(one_word), AfterValidator(http_address)]
IssuerAddress = Annotated[str, AfterValidator(one_word), AfterValidator(issuer_address)]
SiemAddress = Annotated[str, AfterValidator(one_word), AfterValidator(siem_address)]
BaseAddress = Annotated[str, AfterValidator(one_word), AfterValidator(base_address)]
Host = Annotated[str, AfterValidator(one_word), AfterValidator(host)]
AuthorizedParties = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(each(authorized_party)), BeforeValidator(_named)
]
Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(each(browser_origin))]
Networks = Annotated[
    tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(each(network)), AfterValidator(limited)
]
TrustedProxyNetworks = Annotated[
    tuple[IPv4Network | IPv6Network, ...] | None,
    NoDecode,
    BeforeValidator(_none_or_networks),
    AfterValidator(limited),
]
