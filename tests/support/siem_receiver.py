"""A SIEM that receives events over HTTP, and answers as a test says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Self

from tests.support.certificate import Certificate
from tests.support.threaded_server import ThreadedServer


@dataclass(frozen=True, slots=True)
class ReceivedBatch:
    """A request, and the OCSF events in it."""

    path: str
    headers: Mapping[str, str]
    content: bytes
    events: Sequence[dict[str, Any]]

    @property
    def ids(self) -> list[str]:
        return [event["metadata"]["uid"] for event in self.events]


@dataclass(frozen=True, slots=True)
class ReceiverAnswer:
    """An answer; with `status` None the connection is closed without one. `before` are its interim responses."""

    status: int | None = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b"{}"
    before: bytes = b""

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class SiemReceiver:
    """`answer` decides about each batch. `events` are those of the accepted ones, in order and with repetitions."""

    def __init__(self, certificate: Certificate | None = None) -> None:
        self.answer: Callable[[ReceivedBatch], ReceiverAnswer] = lambda _batch: ReceiverAnswer()
        self.batches: list[tuple[ReceivedBatch, ReceiverAnswer]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                batch = ReceivedBatch(self.path, dict(self.headers), content, events_of(content))
                answer = receiver.answer(batch)
                receiver.batches.append((batch, answer))
                if answer.status is None:
                    self.close_connection = True
                    return
                self.wfile.write(answer.before)
                self.send_response(answer.status)
                for name, value in {**answer.headers, "Content-Length": str(len(answer.content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.content)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name of the base class
                pass

        self._server = ThreadedServer(Handler, certificate=certificate)
        self.url = self._server.url

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for batch, answer in list(self.batches) if answer.is_success for event in batch.events]

    @property
    def ids(self) -> list[str]:
        return [event["metadata"]["uid"] for event in self.events]

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()


def events_of(content: bytes) -> list[dict[str, Any]]:
    """The OCSF events of a batch of CloudEvents, or of a request with logs of OpenTelemetry."""
    parsed = json.loads(content)
    if isinstance(parsed, list):
        return [event["data"] for event in parsed]
    records = [
        record
        for resource in parsed["resourceLogs"]
        for scope in resource["scopeLogs"]
        for record in scope["logRecords"]
    ]
    bodies = [plain_value(record["body"]) for record in records]
    return [body for body in bodies if isinstance(body, dict)]


def plain_value(value: dict[str, Any]) -> object:
    """What an AnyValue of OpenTelemetry stands for."""
    match value:
        case {"stringValue": str() as text}:
            return text
        case {"boolValue": bool() as flag}:
            return flag
        case {"intValue": str() as digits}:
            return int(digits)
        case {"arrayValue": {"values": list() as values}}:
            return [plain_value(each) for each in values]
        case {"kvlistValue": {"values": list() as values}}:
            return {each["key"]: plain_value(each["value"]) for each in values}
    # Collectors refuse a value without a type, and the whole request with it.
    raise ValueError(f"{value} is no value of a type")
