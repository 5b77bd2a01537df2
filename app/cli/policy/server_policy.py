"""Reads the active policy of a server over its API, with the token in AUTHZ_TOKEN."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, TypeVar
from urllib.parse import urlsplit

from app.cli.failure import fail
from app.cli.terminal import printable
from app.identity.address import is_loopback
from app.policy.language.source import MAX_BYTES

if TYPE_CHECKING:
    import httpx

TOKEN = "AUTHZ_TOKEN"  # noqa: S105  # the name of the variable
SECONDS = 60.0
MAX_BODY = 2 * MAX_BYTES + 1024 * 1024  # JSON escapes make a file longer
_STEP_SECONDS = 10.0
_PATH = "/api/v1/policies/"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ServerPolicy:
    """The active policy of a server. Its revision is the digest of its files."""

    url: str
    revision: str
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class _Active:
    revision: str


@dataclass(frozen=True, slots=True)
class _StoredFiles:
    files: dict[str, str]


def fetch(address: str) -> ServerPolicy:
    """Read the active policy of the server at an address; exit with 2 if that fails.

    The token is sent only to that address: not over plain http to another machine, and not after a redirect.
    """
    import httpx

    from app.policy.language.source import digest, encode

    url = _base(address)
    headers = {"Authorization": f"Bearer {_token(url)}", "Accept-Encoding": "identity"}
    try:
        # Proxies and certificates of the environment are used only for https, where a proxy cannot see the token.
        trust_env = url.startswith("https:")
        with httpx.Client(
            base_url=url, headers=headers, timeout=_STEP_SECONDS, follow_redirects=False, trust_env=trust_env
        ) as client:
            deadline = time.monotonic() + SECONDS
            revision = _get(client, _PATH, _Active, deadline).revision
            if not re.fullmatch(r"[0-9a-f]{16}", revision):
                _fail(url, "gives no revision")
            stored = _get(client, f"{_PATH}history/{revision}", _StoredFiles, deadline)
    except httpx.TimeoutException:
        _fail(url, "does not answer in time")
    # Wrong certificates or proxies in the environment raise any of these.
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, ImportError) as error:
        _fail(url, f"cannot be reached: {printable(str(error))}")
    files = encode(stored.files)
    if digest(files) != revision:
        _fail(url, f"sent other files than those of the revision {revision}")
    return ServerPolicy(url, revision, files)


def _base(address: str) -> str:
    """The scheme, host and port of an address to which a token may be sent."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    # The message does not repeat a name and password.
    if not host or parts.username is not None or parts.password is not None:
        fail("the address of a server is only scheme, host and port, such as https://authz.example.com.", code=2)
    shown = printable(address)
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        fail(f"`{shown}`: write only scheme, host and port, such as https://authz.example.com.", code=2)
    if parts.scheme.lower() == "http" and not is_loopback(host):
        fail(f"`{shown}` would send {TOKEN} in the clear: http:// is only for a loopback host.", code=2)
    host_part = f"[{host}]" if ":" in host else printable(host)
    return f"{parts.scheme.lower()}://{host_part}" + (f":{port}" if port is not None else "")


def _token(url: str) -> str:
    token = os.environ.get(TOKEN, "")
    if not token:
        fail(f"set {TOKEN} to a token or key that has `policies:read` at {url}.", code=2)
    if not re.fullmatch(r"[!-~]+", token):
        fail(f"{TOKEN} is not a token: it has spaces, line breaks or other characters that no token has.", code=2)
    return token


def _get(client: httpx.Client, path: str, kind: type[_T], deadline: float) -> _T:
    """The JSON at a path."""
    import msgspec

    url = str(client.base_url).rstrip("/")
    with client.stream("GET", path) as answer:
        body = bytearray()
        for part in answer.iter_raw():
            body += part
            if len(body) > MAX_BODY:
                _fail(url, f"sends more than {MAX_BODY:,} bytes")
            if time.monotonic() > deadline:
                _fail(url, "does not answer in time")
    if answer.is_redirect:
        _fail(url, f"redirects to {printable(answer.headers.get('Location', ''))[:200]}: name that address, if meant")
    if answer.status_code != 200:
        _fail(url, _refusal(answer.status_code, bytes(body)))
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        _fail(url, f"answers {path} with something else than authz would: is it the right address?")


def _refusal(status: int, body: bytes) -> str:
    """The refusal of the server, and what the user must do."""
    import msgspec

    try:
        detail = msgspec.json.decode(body, type=dict[str, object]).get("detail")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        detail = None
    answer = f"answers {status}" + (f", “{printable(detail)[:200]}”" if isinstance(detail, str) and detail else "")
    if status == 401:
        return f"{answer}: {TOKEN} is not valid there"
    if status == 403:
        return f"{answer}: {TOKEN} needs `policies:read` there"
    if status == 404:
        return f"{answer}: is it the right address, and is its active revision stored?"
    return answer


def _fail(url: str, what: str) -> NoReturn:
    fail(f"{url} {what}.", code=2)
