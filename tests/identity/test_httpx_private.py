"""The private API of httpx that limits what a host may send: all of its answers count, interim ones too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.oauth.client_document import address_of_document
from app.oauth.document_fetch import MAX_RECEIVED, DocumentNotFetched
from tests.oauth.document_host import DocumentHost, document_host

pytestmark = pytest.mark.anyio
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
TOO_MUCH = "the answer has over 24,576 bytes with its head"


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[DocumentHost]:
    async with document_host(tmp_path) as started:
        yield started


async def outcome(host: DocumentHost) -> str:
    """The body of the document, or why it was not fetched."""
    try:
        return (await host.fetch().fetch(address_of_document(host.url))).body.decode()
    except DocumentNotFetched as refused:
        return str(refused)


@pytest.mark.parametrize(
    ("begin", "part", "end"),
    [
        (b"", INTERIM, HEAD + b"Content-Length: 2\r\n\r\n{}"),
        (HEAD + b"X: ", b"x", b"\r\nContent-Length: 2\r\n\r\n{}"),
        (CHUNKED, b"1\r\n \r\n", b"2\r\n{}\r\n0\r\n\r\n"),
        (CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: y\r\n", b"\r\n"),
    ],
    ids=["interim", "head", "chunks", "trailers"],
)
async def test_everything_that_a_host_sends_counts(host: DocumentHost, begin: bytes, part: bytes, end: bytes) -> None:
    for length, expected in ((2_000, "{}"), (MAX_RECEIVED + 1_000, TOO_MUCH)):
        host.answer = begin + part * ((length - len(begin) - len(end)) // len(part)) + end
        assert (await outcome(host)).strip() == expected
    for over, expected in ((0, "{}"), (1, TOO_MUCH)):
        room = MAX_RECEIVED + over - len(HEAD + b"X: \r\nContent-Length: 2\r\n\r\n{}")
        host.answer = HEAD + b"X: " + b"x" * room + b"\r\nContent-Length: 2\r\n\r\n{}"
        assert await outcome(host) == expected
    host.answer = INTERIM * 1_000_000
    assert await outcome(host) == TOO_MUCH
