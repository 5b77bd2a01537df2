"""Requests to a destination: certificates are verified, time and size are limited."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.siem import sender as module
from app.siem.destination import new_destination
from app.siem.sender import Accepted, Failed, Sender, retry_after
from tests.support.certificate import make
from tests.support.siem_receiver import ReceiverAnswer, SiemReceiver

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)


@asynccontextmanager
async def sender_to(url: str) -> AsyncIterator[Sender]:
    sender = Sender(new_destination("cloudevents", url, ("X-Token", "s3cret"), None))
    yield sender
    await sender.close()


async def test_a_certificate_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = make(tmp_path)
    with SiemReceiver(certificate) as receiver:
        async with sender_to(receiver.url) as sender:
            answer = await sender.send(b"[]")
            assert isinstance(answer, Failed)
            assert "certificate verify failed" in answer.error
        assert receiver.batches == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))
        async with sender_to(receiver.url) as sender:
            assert await sender.send(b"[]") == Accepted()
        async with sender_to(receiver.url.replace("127.0.0.1", "localhost")) as sender:
            answer = await sender.send(b"[]")
            assert isinstance(answer, Failed), "the certificate is of another host"
        ((batch, _),) = receiver.batches
        assert batch.headers["X-Token"] == "s3cret"


async def test_a_destination_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEND_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepted: list[socket.socket] = []
        thread = threading.Thread(target=lambda: accepted.append(listener.accept()[0]))
        thread.start()
        async with sender_to(f"http://127.0.0.1:{listener.getsockname()[1]}/") as sender:
            assert await sender.send(b"[]") == Failed("no complete answer in 0.2 s")
        thread.join()
        accepted[0].close()


async def test_an_endless_answer_is_not_read_to_its_end() -> None:
    with SiemReceiver() as receiver:
        receiver.answer = lambda _batch: ReceiverAnswer(200, {}, b" " * 10_000_000)
        async with sender_to(receiver.url) as sender:
            assert await sender.send(b"[]") == Accepted()
            assert await sender.send(b"[]") == Accepted()


async def test_interim_responses_without_end_are_not_read_to_their_end() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    with SiemReceiver() as receiver:
        async with sender_to(receiver.url) as sender:
            few, many = (interim * (size // len(interim)) for size in (module.MAX_RECEIVED // 2, 10_000_000))
            receiver.answer = lambda _batch: ReceiverAnswer(before=few)
            for _ in range(3):  # on one connection
                assert await sender.send(b"[]") == Accepted()
            receiver.answer = lambda _batch: ReceiverAnswer(before=many)
            assert await sender.send(b"[]") == Failed("the answer has over 200,000 bytes with its head")
            receiver.answer = lambda _batch: ReceiverAnswer()
            assert await sender.send(b"[]") == Accepted()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("12", 12),
        ("-1", None),
        ("1.5", None),
        ("\u0663", None),
        ("99999999999999999999", 999_999_999),
        ("Fri, 20 Nov 2026 09:00:30 GMT", 30),
        ("Fri, 20 Nov 2026 08:00:30 GMT", 0),
        ("Fri, 20 Nov 2026 09:00:30 -0000", 30),
        ("Fri, 99 Nov 2026 09:00:30 GMT", None),
        ("soon", None),
        ("Thu, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Thu, 01 Jan 2030 00:00:00 +99999999999999999999", None),
    ],
)
def test_retry_after_is_read(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds
