"""Fetching the document of an app from a host that its developer, or an attacker, controls."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from app.oauth.client_document import address_of_document
from app.oauth.document_fetch import MAX_BYTES, MAX_FETCHES, DocumentFetch, DocumentNotFetched
from app.oauth.public_address import Address, is_public
from tests.oauth.document_host import HOST, LOOPBACK, DocumentHost, document_host

pytestmark = pytest.mark.anyio

PUBLIC, PRIVATE = ip_address("8.8.8.8"), ip_address("10.0.0.1")
NOT_PUBLIC = "its host has no public address, or has others too"


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[DocumentHost]:
    async with document_host(tmp_path) as started:
        yield started


async def fetched(host: DocumentHost, fetch: DocumentFetch | None = None) -> tuple[bytes, int]:
    found = await (fetch or host.fetch()).fetch(address_of_document(host.url))
    return found.body, found.age_seconds


async def refusal(host: DocumentHost, fetch: DocumentFetch | None = None) -> str:
    with pytest.raises(DocumentNotFetched) as refused:
        await fetched(host, fetch)
    return str(refused.value)


async def test_the_document_is_fetched_under_the_name_of_its_host(host: DocumentHost) -> None:
    host.url += "?version=1&x=%20"
    body, _ = await fetched(host)
    assert json.loads(body)["client_name"] == "Scores"
    assert host.names == [HOST]
    (head,) = host.heads
    assert head.startswith("GET /client.json?version=1&x=%20 HTTP/1.1\r\n")
    lines = head.lower().split("\r\n")
    port = host.url.split(":")[2].partition("/")[0]
    assert f"host: {HOST}:{port}" in lines
    assert "accept-encoding: identity" in lines
    assert not any(line.startswith(("cookie", "authorization")) for line in lines)


async def test_it_is_fetched_from_the_address_that_was_checked(host: DocumentHost) -> None:
    checked: list[Address] = []

    def trusted(address: Address) -> bool:
        checked.append(address)
        return address == LOOPBACK

    host.addresses = [[LOOPBACK], [PRIVATE]]  # the name leads elsewhere from the second look-up on
    await fetched(host, host.fetch(trusted=trusted))
    assert checked == [LOOPBACK]
    assert len(host.lookups) == 1
    assert len(host.heads) == 1
    assert await refusal(host, host.fetch(trusted=trusted)) == NOT_PUBLIC
    assert len(host.heads) == 1


async def test_it_is_fetched_from_an_address_of_version_6(host: DocumentHost) -> None:
    mapped = ip_address("::ffff:127.0.0.1")  # which needs no network of version 6
    host.addresses = [[mapped]]
    body, _ = await fetched(host, host.fetch(trusted=lambda address: address == mapped))
    assert json.loads(body)["client_name"] == "Scores"
    assert host.names == [HOST]


@pytest.mark.parametrize("addresses", [[], [PRIVATE], [PUBLIC, PRIVATE], [PRIVATE, PUBLIC], [LOOPBACK]])
async def test_each_address_of_the_host_must_be_public(host: DocumentHost, addresses: Sequence[Address]) -> None:
    host.addresses = [addresses]
    assert await refusal(host, host.fetch(trusted=is_public)) == NOT_PUBLIC
    assert host.heads == host.names == []


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]"])
async def test_a_server_fetches_nothing_from_its_own_machine(host: DocumentHost, name: str) -> None:
    host.url = host.url.replace(HOST, name)
    assert await refusal(host, DocumentFetch(tls=host.certificate.trusted)) == NOT_PUBLIC
    assert host.heads == host.names == []


async def test_the_next_address_is_tried_when_the_first_is_down(host: DocumentHost) -> None:
    host.addresses = [[ip_address("127.0.0.9"), LOOPBACK]]
    await fetched(host)
    down = [ip_address("127.0.0.9"), ip_address("127.0.0.8")]
    for addresses in ([down[0]], [*down, LOOPBACK]):  # two are tried
        host.addresses = [addresses]
        assert await refusal(host) == "no secure connection to its host is possible"


async def test_the_certificate_must_be_for_the_name_and_trusted(host: DocumentHost, tmp_path: Path) -> None:
    message = "no secure connection to its host is possible"
    assert await refusal(host, host.fetch(tls=ssl.create_default_context)) == message
    async with document_host(tmp_path, ["other.example", "127.0.0.1.example"]) as other:
        assert await refusal(other) == message
        assert other.heads == []


async def test_a_proxy_of_the_environment_is_not_used(host: DocumentHost, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    await fetched(host)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_not_followed(host: DocumentHost, status: str) -> None:
    host.serve(host.document(), f"Location: {host.url}", status=status)
    assert await refusal(host) == f"the answer is a redirect ({status[:3]}), which is not followed"
    assert len(host.heads) == 1


@pytest.mark.parametrize("status", ["201 Created", "204 No Content", "206 Partial", "304 Not", "404 Not", "500 Error"])
async def test_another_status_is_refused(host: DocumentHost, status: str) -> None:
    host.serve(b"" if status[:3] in ("204", "304") else host.document(), status=status)
    assert await refusal(host) == f"the status of the answer is {status[:3]}, not 200"


@pytest.mark.parametrize(
    "kind", ["text/html", "", "application/jsonp", "text/json", "application/x; a=application/json"]
)
async def test_another_content_type_is_refused(host: DocumentHost, kind: str) -> None:
    host.serve(host.document(), f"Content-Type: {kind}")
    assert await refusal(host) == "the Content-Type of the answer is not application/json"


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON", "application/cimd+json"])
async def test_a_kind_of_json_is_accepted(host: DocumentHost, kind: str) -> None:
    host.serve(host.document(), f"Content-Type: {kind}")
    await fetched(host)


async def test_a_large_document_is_refused(host: DocumentHost) -> None:
    message = f"the document has over {MAX_BYTES:,} bytes"
    host.serve(b" " * MAX_BYTES)
    assert len((await fetched(host))[0]) == MAX_BYTES
    host.serve(b" " * (MAX_BYTES + 1))
    assert await refusal(host) == message
    host.serve(b" " * 10_000_000, length=False)  # until the end of the connection
    assert await refusal(host) == message
    chunk = f"{100:x}\r\n".encode() + b" " * 100 + b"\r\n"
    host.serve(chunk * 60, "Transfer-Encoding: chunked", length=False)
    assert await refusal(host) == message


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity, gzip", "x"])
async def test_a_compressed_document_is_refused(host: DocumentHost, encoding: str) -> None:
    host.serve(gzip.compress(b" " * 10_000_000), f"Content-Encoding: {encoding}")
    assert await refusal(host) == "the answer is compressed, which was not requested"


async def test_a_slow_host_is_given_up(host: DocumentHost) -> None:
    fetch = host.fetch(seconds=0.3)
    host.pause = 0.02
    assert await refusal(host, fetch) == "there is no complete answer within 0.3 s"
    host.pause, host.answer = 0.0, b""
    assert await refusal(host) == "its host gave no complete answer"

    async def hang(_host: str, _port: int) -> Sequence[Address]:
        await asyncio.Event().wait()
        raise AssertionError

    assert await refusal(host, host.fetch(seconds=0.3, resolve=hang)) == "there is no complete answer within 0.3 s"


async def test_a_handshake_that_is_never_completed_leaves_no_connection(host: DocumentHost) -> None:
    ended = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            pass
        ended.set()  # the client has closed the connection
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        host.url = f"https://{HOST}:{server.sockets[0].getsockname()[1]}/client.json"
        assert await refusal(host, host.fetch(seconds=0.3)) == "there is no complete answer within 0.3 s"
        await asyncio.wait_for(ended.wait(), 10)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
    ids=range(6),
)
async def test_an_answer_that_is_not_http(host: DocumentHost, answer: bytes) -> None:
    host.answer = answer
    assert await refusal(host) == "its host gave no complete answer"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], 300),
        (["max-age=0"], 300),
        (["max-age=299"], 300),
        (["max-age=301"], 301),
        (["public, max-age=3600"], 3_600),
        (['private,max-age="3600", immutable'], 3_600),
        (["public", "max-age=3600"], 3_600),
        (["max-age=86401"], 86_400),
        (["max-age=99999999999999999999"], 300),
        (["max-age=-1"], 300),
        (["s-maxage=3600"], 300),
        (["max-age=3600, no-cache"], 300),
        (["no-store", "max-age=3600"], 300),
        (["max-age=x"], 300),
    ],
)
async def test_for_how_long_a_document_may_be_cached(host: DocumentHost, headers: list[str], seconds: int) -> None:
    host.serve(host.document(), *(f"Cache-Control: {header}" for header in headers))
    assert (await fetched(host))[1] == seconds


async def test_fetches_at_once_are_limited(host: DocumentHost, monkeypatch: pytest.MonkeyPatch) -> None:
    running, most = 0, 0

    async def resolve(name: str, port: int) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return await host.resolve(name, port)

    fetch = host.fetch(resolve=resolve)
    await asyncio.gather(*(fetched(host, fetch) for _ in range(MAX_FETCHES + 8)))
    assert most == MAX_FETCHES
