"""The comments of a pull request on GitHub and of a merge request on GitLab, over HTTP as their APIs have them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from itertools import count
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.support.threaded_server import ThreadedServer

BOT = {"login": "github-actions[bot]", "id": 41898282}
STRANGER = {"login": "mallory", "id": 7}
TOKEN = "ghs_token-of-the-job"


@dataclass(slots=True)
class CommentHost:
    """Both APIs, with one list of comments.

    `refusal` is the status of every write, `outage` those of the next requests, `post_outage` those of the next POSTs.
    """

    comments: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    refusal: int = 0
    outage: list[int] = field(default_factory=list)
    post_outage: list[int] = field(default_factory=list)
    _ids: Iterator[int] = field(default_factory=lambda: count(100))
    _server: ThreadedServer | None = None

    def add(self, body: str, author: dict[str, Any]) -> None:
        """A comment that is already there."""
        self.comments.append(self._comment(body, author))

    @property
    def bodies(self) -> list[str]:
        return [comment["body"] for comment in self.comments]

    @property
    def url(self) -> str:
        assert self._server
        return self._server.url

    def __enter__(self) -> Self:
        self._server = ThreadedServer(_handler(self)).__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server
        self._server.__exit__()

    def answer(self, method: str, target: str, token: str, content: bytes) -> tuple[int, Any]:
        """The status and document for a request."""
        self.requests.append((method, target))
        parts = urlsplit(target)
        if self.outage:
            return self.outage.pop(0), {"message": "busy"}
        if self.post_outage and method == "POST":
            return self.post_outage.pop(0), {"message": "busy"}
        if token != TOKEN:
            return 401, {"message": "Bad credentials"}
        if parts.path == "/api/v4/user":
            return 200, BOT
        if method != "GET" and self.refusal:
            return self.refusal, {"message": "Resource not accessible by integration"}
        if parts.path in ("/repos/acme/shop/issues/7/comments", "/api/v4/projects/3/merge_requests/7/notes"):
            return self._list(method, parse_qs(parts.query), content)
        head, _, number = parts.path.rpartition("/")
        if head in ("/repos/acme/shop/issues/comments", "/api/v4/projects/3/merge_requests/7/notes"):
            return self._one(method, int(number), content, edit="PATCH" if head.startswith("/repos") else "PUT")
        return 404, {"message": "Not Found"}

    def _list(self, method: str, query: dict[str, list[str]], content: bytes) -> tuple[int, Any]:
        if method == "POST":
            self.add(json.loads(content)["body"], BOT)
            return 201, self.comments[-1]
        size, page = int(query["per_page"][0]), int(query["page"][0])
        return 200, self.comments[size * (page - 1) : size * page]

    def _one(self, method: str, number: int, content: bytes, *, edit: str) -> tuple[int, Any]:
        (found,) = [comment for comment in self.comments if comment["id"] == number]
        if method == "DELETE":
            self.comments.remove(found)
            return 204, None
        if method != edit:
            return 405, {"message": "405 Method Not Allowed"}
        found["body"] = json.loads(content)["body"]
        return 200, found

    def _comment(self, body: str, author: dict[str, Any]) -> dict[str, Any]:
        return {"id": next(self._ids), "body": body, "user": author, "author": author}


def _handler(host: CommentHost) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            token = self.headers.get("PRIVATE-TOKEN") or self.headers.get("Authorization", "").removeprefix("Bearer ")
            status, document = host.answer(self.command, self.path, token, content)
            body = b"" if document is None else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _do  # noqa: N815  # the names of the library

        def log_message(self, _format: str, *_args: object) -> None:
            """Requests are in `requests`."""

    return Handler
