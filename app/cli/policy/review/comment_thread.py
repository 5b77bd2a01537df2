"""Keeps one comment up to date: it is found by its first line and its author, and edited; copies are deleted."""

from __future__ import annotations

import re
import time
from types import TracebackType
from typing import Literal, Self, TypeVar

import httpx
import msgspec

from app.cli.policy.review.platforms import CommentThread
from app.cli.terminal import printable

PAGE = 100
MAX_PAGES = 100
MAX_BODY = 256 * 1024 * 1024  # of a page of comments, each with up to 1,000,000 characters
STEP_SECONDS = 15.0
TRIES = 3
MAX_PAUSE_SECONDS = 20.0
_BUSY = (429, 500, 502, 503, 504)

Change = Literal["created", "edited", "unchanged"]
_T = TypeVar("_T")


class NotAllowed(Exception):
    """The token may not comment here."""


class CannotComment(Exception):
    """The comment could not be sent; the message says why."""


class _Author(msgspec.Struct, frozen=True):
    id: int
    login: str = ""


class _Comment(msgspec.Struct, frozen=True):
    """A comment: GitHub calls its author `user`, GitLab `author`."""

    id: int
    body: str | None = None
    user: _Author | None = None
    author: _Author | None = None


class ThreadClient:
    """The comments of a thread over the platform's API. The token is sent to no other address."""

    def __init__(self, thread: CommentThread, *, pause_seconds: float = 1.0) -> None:
        self._thread = thread
        self._pause = pause_seconds
        # Proxies and certificates of the environment are used only for https, where a proxy cannot see the token.
        trust_env = thread.comments.startswith("https:")
        self._client = httpx.Client(
            headers=dict(thread.headers), timeout=STEP_SECONDS, follow_redirects=False, trust_env=trust_env
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def put(self, body: str) -> Change:
        """Create or edit the comment with the first line of this body. Raises NotAllowed and CannotComment."""
        first = body.partition("\n")[0]
        found = self._own(first)
        if not found:
            self._send("POST", self._thread.comments, {"body": body})
            return "created"
        for copy in found[1:]:  # from two jobs that ran at the same time
            self._send("DELETE", f"{self._thread.comment}/{copy.id}")
        if _lines(found[0].body or "") == _lines(body):
            return "unchanged"
        self._send(self._thread.edit, f"{self._thread.comment}/{found[0].id}", {"body": body})
        return "edited"

    def _own(self, first: str) -> list[_Comment]:
        """The comments that we wrote and that begin with this line, in the order of their ids.

        Others could have copied the line: an edit of their comment would let them change what it says afterwards.
        """
        thread, found = self._thread, []
        own = None if thread.user is None else _decoded(thread.user, self._send("GET", thread.user), _Author).id
        for page in range(1, MAX_PAGES + 1):
            url = f"{thread.comments}?per_page={PAGE}&page={page}"
            comments = _decoded(url, self._send("GET", url), list[_Comment])
            for each in comments:
                author = each.user or each.author
                is_own = author is not None and (author.login == thread.author if own is None else author.id == own)
                if is_own and (each.body or "").partition("\n")[0].rstrip("\r") == first:
                    found.append(each)
            if len(comments) < PAGE:
                return sorted(found, key=lambda comment: comment.id)
        raise CannotComment(f"there are more than {PAGE * MAX_PAGES:,} comments")

    def _send(self, method: str, url: str, document: dict[str, str] | None = None) -> bytes:
        """The body that answers a request, which is repeated if that cannot create a second comment."""
        tries_left = TRIES
        while True:
            tries_left -= 1
            try:
                answer, body = self._exchange(method, url, document)
            except httpx.HTTPError as error:
                if method == "POST" or not tries_left:
                    raise CannotComment(f"{method} {url}: {printable(str(error)) or type(error).__name__}") from None
                self._wait("")
                continue
            is_repeatable = answer.status_code == 429 or (answer.status_code in _BUSY and method != "POST")
            if not is_repeatable or not tries_left:
                return _accepted(f"{method} {url}", answer, body)
            self._wait(answer.headers.get("Retry-After", ""))

    def _exchange(self, method: str, url: str, document: dict[str, str] | None) -> tuple[httpx.Response, bytes]:
        body = bytearray()
        with self._client.stream(method, url, json=document) as answer:
            for part in answer.iter_bytes():
                body += part
                if len(body) > MAX_BODY:
                    raise CannotComment(f"{method} {url} answers with more than {MAX_BODY:,} bytes")
        return answer, bytes(body)

    def _wait(self, stated: str) -> None:
        seconds = float(stated) if re.fullmatch(r"[0-9]{1,6}", stated) else self._pause
        time.sleep(min(seconds, MAX_PAUSE_SECONDS))


def _accepted(request: str, answer: httpx.Response, body: bytes) -> bytes:
    """The body of an answer without an error."""
    if answer.status_code in (200, 201, 204):
        return body
    problem = f"{request} answers {answer.status_code}{_message(body)}"
    raise NotAllowed(problem) if answer.status_code in (403, 404) else CannotComment(problem)


def _message(body: bytes) -> str:
    """The message of the platform, which is plain text."""
    try:
        message = msgspec.json.decode(body, type=dict[str, object]).get("message")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    return f", “{printable(message)[:200]}”" if isinstance(message, str) and message else ""


def _decoded(url: str, body: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise CannotComment(f"GET {url} answers with something else than the API of the platform would") from None


def _lines(body: str) -> str:
    """A body as platforms keep it."""
    return body.replace("\r\n", "\n").strip()
