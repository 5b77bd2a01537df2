"""Load for the abuse trial: a known caller at a constant rate, and connections with attacks or valid requests.

Each load is a process. The known caller sends at fixed times (an open loop), so that a stalling server is noticed. It
has normal priority, and everything else on its core a lower one.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess
from typing import Any

LOWER_PRIORITY = 10
LOST = 0  # counted as a status: the connection ended without an answer, or none came
ANSWER_SECONDS = 30.0
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_HUGE_PIECE = b"a" * 65_536
Address = tuple[str, int]


@dataclass(slots=True)
class Outcome:
    """The outcome of requests: answers by status, and latencies in seconds if they were measured."""

    answers: Counter[int] = field(default_factory=Counter)
    took: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Requests a second, those without an answer included."""
        return self.answers.total() / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Connections:
    """A number of connections to an address, from a source address if one is given."""

    address: Address
    number: int
    source: str | None = None

    @property
    def local(self) -> Address | None:
        """Where they come from, on any port."""
        return (self.source, 0) if self.source else None


class Client(asyncio.Protocol):
    """One connection, kept and opened again, with one request at a time. `done` is called with each status."""

    def __init__(self, connections: Connections, done: Callable[[Client, int], None]) -> None:
        self._connections = connections
        self._done = done
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._expected = -1
        self._status = LOST
        self._request = b""
        self._opening: asyncio.Task[None] | None = None
        self._timeout: asyncio.TimerHandle | None = None
        self.idle = asyncio.Event()

    def send(self, request: bytes) -> None:
        """Send a request; the one before has had its answer."""
        self._request = request
        self.idle.clear()
        self._timeout = asyncio.get_running_loop().call_later(ANSWER_SECONDS, self._give_up)
        if self._transport is None or self._transport.is_closing():
            self._opening = asyncio.create_task(self._open())
        else:
            self._transport.write(request)

    async def _open(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: self, *self._connections.address, local_addr=self._connections.local
            )
        except OSError:
            self._finish(LOST)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the pending request."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received.clear()
        self._expected = -1
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Read a part of an answer with a content length."""
        received = self._received
        received += data
        if self._expected < 0:
            end = received.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(received, 0, end)
            self._status = int(received[9:12])
            self._expected = end + 4 + (int(length[1]) if length else 0)
        if len(received) >= self._expected:
            received.clear()
            self._expected = -1
            self._finish(self._status)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count a request that has no answer."""
        self._transport = None
        if self._request:
            self._finish(LOST)

    def close(self) -> None:
        """End the connection; a pending request is not counted."""
        self._done = lambda _client, _status: None
        if self._timeout is not None:
            self._timeout.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _give_up(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        self._finish(LOST)

    def _finish(self, status: int) -> None:
        self._request = b""
        if self._timeout is not None:
            self._timeout.cancel()
        self.idle.set()
        self._done(self, status)


async def ask_in_turn(connections: Connections, seconds: float, request: Callable[[], bytes]) -> Outcome:
    """Ask on each connection as soon as it has its answer."""
    outcome = Outcome()

    def done(client: Client, status: int) -> None:
        outcome.answers[status] += 1
        client.send(request())

    clients = [Client(connections, done) for _ in range(connections.number)]
    started = time.perf_counter()
    for client in clients:
        client.send(request())
    await asyncio.sleep(seconds)
    outcome.seconds = time.perf_counter() - started
    for client in clients:
        client.close()
    return outcome


async def ask_at_rate(
    connections: Connections, seconds: float, rate: float, request: Callable[[], bytes], *, is_open: bool = False
) -> Outcome:
    """Send `rate` requests per second. One without a free connection waits; an open loop opens another connection."""
    outcome = Outcome()
    free, clients, waiting = deque[Client](), list[Client](), 0
    sent: dict[Client, float] = {}

    def send(client: Client) -> None:
        sent[client] = time.perf_counter()
        client.send(request())

    def done(client: Client, status: int) -> None:
        nonlocal waiting
        outcome.took.append(time.perf_counter() - sent[client])
        outcome.answers[status] += 1
        if waiting:
            waiting -= 1
            send(client)
        else:
            free.append(client)

    started = time.perf_counter()
    for number in range(round(rate * seconds)):
        if (early := started + number / rate - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        if time.perf_counter() - started > seconds:
            break
        if free:
            send(free.popleft())
        elif is_open or len(clients) < connections.number:
            clients.append(Client(connections, done))
            send(clients[-1])
        else:
            waiting += 1
    outcome.seconds = time.perf_counter() - started
    if is_open:  # all of its answers count
        await asyncio.gather(*(client.idle.wait() for client in clients))
    for client in clients:
        client.close()
    return outcome


async def hold_half_open(connections: Connections, seconds: float, head: bytes) -> Outcome:
    """Keep connections on which a head never ends; each that the server ends is opened again."""
    outcome = Outcome()

    async def hold() -> None:
        while True:
            reader, writer = await asyncio.open_connection(*connections.address, local_addr=connections.local)
            writer.write(head)
            outcome.answers[await _status_of(reader)] += 1
            writer.close()

    return await _repeat(hold, connections.number, seconds, outcome)


async def send_huge_headers(connections: Connections, seconds: float, head: bytes, size: int) -> Outcome:
    """Send heads of `size` bytes, as fast as the server takes them, and again when it ends the connection."""
    outcome = Outcome()

    async def send() -> None:
        while True:
            reader, writer = await asyncio.open_connection(*connections.address, local_addr=connections.local)
            try:
                writer.write(head)
                for _ in range(size // len(_HUGE_PIECE)):
                    writer.write(_HUGE_PIECE)
                    await writer.drain()
            except OSError:
                outcome.answers[LOST] += 1
            else:
                outcome.answers[await _status_of(reader)] += 1
            writer.transport.abort()

    return await _repeat(send, connections.number, seconds, outcome)


async def send_pipelined(connections: Connections, seconds: float, request: Callable[[], bytes], depth: int) -> Outcome:
    """Send `depth` requests at once on each connection, and again when all have their answers."""
    outcome = Outcome()

    async def send() -> None:
        reader, writer = await asyncio.open_connection(*connections.address, local_addr=connections.local)
        try:
            while True:
                writer.write(b"".join(request() for _ in range(depth)))
                for _ in range(depth):
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = _LENGTH.search(head)
                    await reader.readexactly(int(length[1]) if length else 0)
                    outcome.answers[int(head[9:12])] += 1
        finally:
            writer.transport.abort()

    return await _repeat(send, connections.number, seconds, outcome)


async def _status_of(reader: asyncio.StreamReader) -> int:
    try:
        answer = await reader.read(1000)
    except OSError:
        return LOST
    return int(answer[9:12]) if answer else LOST


async def _repeat(
    work: Callable[[], Coroutine[Any, Any, None]], number: int, seconds: float, outcome: Outcome
) -> Outcome:
    started = time.perf_counter()
    tasks = [asyncio.create_task(work()) for _ in range(number)]
    failed, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    outcome.seconds = time.perf_counter() - started
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in failed:
        task.result()  # raises its exception here
    return outcome


class LoadProcess:
    """A load that runs in a process on `core`."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, Outcome]], core: int, priority: int = 0) -> None:
        context = multiprocessing.get_context("spawn")
        self._results, results = context.Pipe(duplex=False)
        self._process: BaseProcess = context.Process(target=_run, args=(results, work, core, priority))
        self._process.start()
        results.close()
        self._results.recv()  # it has started

    def result(self) -> Outcome:
        """Wait for the outcome. Raises EOFError if it failed, with the reason on standard error."""
        found = self._results.recv()
        self._process.join()
        assert isinstance(found, Outcome)
        return found


def _run(results: Pipe, work: Callable[[], Coroutine[Any, Any, Outcome]], core: int, priority: int) -> None:
    os.sched_setaffinity(0, {core})
    os.nice(priority)
    results.send(None)
    results.send(asyncio.run(work()))
