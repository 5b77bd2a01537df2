"""One exchange with an issuer that may answer anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from app.identity.fetch import FetchFailed, fetch, new_client

pytestmark = pytest.mark.anyio


@dataclass
class Host:
    """A loopback host with given answers, which records what each connection sent."""

    url: str
    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    connections: list[str] = field(default_factory=list)

    async def exchange(
        self, max_bytes: int = 100, form: Mapping[str, str] | None = None, auth: tuple[str, str] | None = None
    ) -> tuple[int, bytes]:
        async with new_client() as client:
            return await fetch(client, self.url, seconds=5, max_bytes=max_bytes, form=form, auth=auth)

    def stated(self, *headers: str, body: bytes = b"{}", status: str = "200 OK") -> None:
        lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers)
        self.answer = "\r\n".join((*lines, "", "")).encode() + body


@asynccontextmanager
async def hosted() -> AsyncIterator[Host]:
    started = Host("")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        started.connections.append("")
        number = len(started.connections) - 1
        while head := await reader.read(65536):
            started.connections[number] += head.decode()
            if head.endswith(b"\r\n\r\n") or "content-length" in started.connections[number].lower():
                writer.write(started.answer)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    started.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
    async with server:
        yield started


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    async with hosted() as started:
        yield started


async def test_each_exchange_opens_a_connection(host: Host) -> None:
    async with new_client() as client:
        for _ in range(3):
            assert await fetch(client, host.url, seconds=5, max_bytes=2) == (200, b"{}")
    assert len(host.connections) == 3
    head = host.connections[0].lower()
    assert head.startswith("get /keys http/1.1\r\n")
    assert "accept: application/json\r\n" in head
    assert "accept-encoding: identity\r\n" in head
    assert "authorization" not in head


async def test_interim_responses_without_end_are_not_read_to_their_end(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.identity.fetch.MAX_RECEIVED", 20_000)
    interim, answer = b"HTTP/1.1 103 Early Hints\r\n\r\n", host.answer
    host.answer = interim * 600 + answer
    assert await host.exchange() == (200, b"{}")
    host.answer = interim * 800 + answer
    with pytest.raises(FetchFailed, match="the answer has over 20,000 bytes with its head"):
        await host.exchange()


async def test_a_form_is_posted_with_credentials(host: Host) -> None:
    await host.exchange(form={"code": "a b"}, auth=("id", "secret"))
    await host.exchange(form={})
    first, second = (connection.lower() for connection in host.connections)
    assert first.startswith("post /keys http/1.1\r\n")
    assert "authorization: basic awq6c2vjcmv0\r\n" in first
    assert "code=a+b" in first
    assert second.startswith("post /keys http/1.1\r\n")
    assert "authorization" not in second


@pytest.mark.parametrize("status", [200, 201, 404, 500])
async def test_the_status_is_returned(host: Host, status: int) -> None:
    host.stated(status=f"{status} X", body=b"")
    assert await host.exchange() == (status, b"")


async def test_a_body_is_at_most_as_long_as_the_limit(host: Host) -> None:
    host.stated(body=b"x" * 10)
    assert await host.exchange(10) == (200, b"x" * 10)
    with pytest.raises(FetchFailed) as failed:
        await host.exchange(9)
    assert str(failed.value) == "the document is over 9 bytes"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(host: Host, status: int) -> None:
    host.stated("Location: /elsewhere", status=f"{status} X")
    with pytest.raises(FetchFailed) as failed:
        await host.exchange()
    assert str(failed.value) == f"the answer is a redirect ({status}), which is not followed"
    assert len(host.connections) == 1


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "identity, gzip"])
async def test_a_compressed_body_is_refused(host: Host, coding: str) -> None:
    host.stated(f"Content-Encoding: {coding}")
    with pytest.raises(FetchFailed) as failed:
        await host.exchange()
    assert str(failed.value) == "the answer is compressed, which was not requested"
    host.stated("Content-Encoding: identity")
    assert await host.exchange() == (200, b"{}")


async def test_the_reason_of_a_failure_does_not_contain_the_address(host: Host) -> None:
    answers = {
        b"": "no complete answer in 0.2 s",
        b"nonsense\r\n\r\n": "no answer (RemoteProtocolError)",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}": "no complete answer in 0.2 s",
    }
    async with new_client() as client:
        for answer, why in answers.items():
            host.answer = answer
            with pytest.raises(FetchFailed) as failed:
                await fetch(client, host.url, seconds=0.2, max_bytes=100)
            assert str(failed.value) == why
        for url, start in (("http://127.0.0.1:1/secret", "no connection: "), ("http://[::1", "no answer (")):
            with pytest.raises(FetchFailed) as failed:
                await fetch(client, url, seconds=5, max_bytes=100)
            assert str(failed.value).startswith(start)
            assert "secret" not in str(failed.value)
