"""Resource indicators (RFC 8707): what a token is for, and whether a request is for that."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from app.oauth.errors import OAuthError
from app.policy.language.upstreams import Upstream

MAX_CHARACTERS = 500
# Segments of unambiguous characters: no escape, no query, no fragment.
_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)*/?")


def resource_of(requested: Iterable[str], public_url: str, servers: Iterable[str] = ()) -> str:
    """The resource that a request is about: one, without a last slash. Without any it is the public URL.

    `servers` are the addresses of upstreams. Raises OAuthError `invalid_target` for several, or another one.
    """
    found = {each.removesuffix("/") for each in requested}
    if not found:
        return public_url
    if len(found) > 1:
        raise OAuthError("invalid_target", "A token is for one resource: send one `resource`.")
    (resource,) = found
    for base in (public_url, *(server.removesuffix("/") for server in servers)):
        if len(resource) <= MAX_CHARACTERS and resource.startswith(base) and _PATH.fullmatch(resource[len(base) :]):
            return resource
    raise OAuthError(
        "invalid_target", f"The `resource` is not one of this server: send {public_url} or an address below it."
    )


def absolute_servers(services: Iterable[Upstream]) -> list[str]:
    """The absolute addresses of upstreams, which are resources besides the public URL."""
    return [server for service in services for server in service.servers if not server.startswith("/")]


def covers(resource: str, base: str | None, path: str) -> bool:
    """Whether a token for `resource` may be used for a path of the server at the address `base`."""
    if resource == base:  # most tokens are for the public address
        return True
    if base is None or not resource.startswith(base):
        return False
    below = resource[len(base) :].rstrip("/")
    return not below or (below.startswith("/") and (path == below or path.startswith(f"{below}/")))


def resource_of_upstream(servers: Sequence[str], public_url: str, path: str) -> str:
    """The resource that a path of an upstream belongs to: its server, or the public URL if the document states none."""
    for server in servers:
        base = server.rstrip("/")
        prefix = base if base.startswith("/") else base.removeprefix(_origin(base))
        if path == prefix or path.startswith(f"{prefix}/"):
            return public_url + base if base.startswith("/") else base
    return public_url


def covers_upstream(resource: str, servers: Sequence[str], public_url: str | None, path: str) -> bool:
    """Whether a token for `resource` may be used for a path of an upstream.

    An upstream whose document has no absolute address is behind the public URL.
    """
    if not servers or servers[0].startswith("/"):
        return covers(resource, public_url, path)
    # The path of a request contains that of the server.
    return any(
        resource.startswith(server.rstrip("/")) and covers(resource, _origin(server), path) for server in servers
    )


def _origin(address: str) -> str:
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"
