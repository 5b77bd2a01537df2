"""Floods in the log, with a fixed clock and by a real server."""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import Any

from app.log_floods import MAX_KINDS, MAX_LINES, MAX_LINES_OF_ALL, FloodFilter
from tests.identity.clock import Clock
from tests.support.issuer import LiveIssuer
from tests.support.load import Load
from tests.support.server import Server, eventually


class Log:
    """A filter that records the lines that pass."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.reports: list[Counter[str]] = []
        self.filter = FloodFilter(self.reports.append, self.clock)

    def write(self, times: int, event: str = "something", *, logger: str = "a", **fields: Any) -> int:
        """Log a line `times` times; return how many pass."""
        message: Any = {"event": event, **fields}
        record = logging.LogRecord(logger, logging.INFO, "", 0, message, None, None)
        return sum(self.filter.filter(record) for _ in range(times))

    def left_out(self) -> Counter[str]:
        """The summaries of omitted lines since the last call."""
        self.filter.flush()
        left_out = sum(self.reports, Counter[str]())
        self.reports.clear()
        return left_out


def test_a_flood_is_logged_as_some_lines_and_a_count_per_second() -> None:
    log = Log()
    assert log.write(MAX_LINES) == MAX_LINES
    assert log.left_out() == {}
    assert log.write(1000) == 0
    assert log.left_out() == {"something": 1000}
    for _ in range(5):
        log.clock.now += 1
        assert log.write(1500) == 0
        assert log.left_out() == {"something": 1500}
    log.clock.now += 1
    assert log.write(3) == 0  # a second with few of them ends the flood
    log.clock.now += 1
    assert log.write(3) == 3
    log.clock.now += 60
    assert log.write(500) == MAX_LINES


def test_other_lines_are_logged_during_a_flood() -> None:
    log = Log()
    log.write(1000)
    assert log.write(1, "something else") == 1
    assert log.write(1, logger="b") == 1
    log.write(1000, "request", status=401, client="192.0.2.1")
    for fields in (
        {"status": 401, "client": "192.0.2.2"},
        {"status": 403, "client": "192.0.2.1"},
        {"status": 401, "client": None},
    ):
        assert log.write(1, "request", **fields) == 1
    assert log.write(5000, "request", status=200, client="192.0.2.1") == 5000
    assert log.left_out() == {"something": 1000 - MAX_LINES, "request 401": 1000 - MAX_LINES}


def test_a_flood_of_many_clients_uses_bounded_memory() -> None:
    log = Log()
    passed = sum(log.write(1, "request", status=401, client=str(number)) for number in range(20_000))
    assert passed == MAX_LINES_OF_ALL
    assert log.left_out() == {"request 401": 20_000 - MAX_LINES_OF_ALL}
    assert len(log.filter._counted) <= MAX_KINDS + 1
    log.write(5 * MAX_LINES, "later")
    many = [f"event {number}" for number in range(50)]
    for event in many:
        log.write(MAX_LINES + 1, event)
    left_out = log.left_out()
    assert len(left_out) <= 11
    assert left_out.total() == 4 * MAX_LINES + 50


def test_a_line_without_an_event_is_counted_by_its_text() -> None:
    log = Log()
    record = logging.LogRecord("uvicorn.error", logging.WARNING, "", 0, "Invalid HTTP request received.", None, None)
    assert sum(log.filter.filter(record) for _ in range(1000)) == MAX_LINES
    assert log.left_out() == {"Invalid HTTP request received.": 1000 - MAX_LINES}


def test_a_server_logs_a_flood_of_refusals_once_a_second(own_server: Server, issuer: LiveIssuer) -> None:
    with Load(own_server.url, "/api/v1/teams", clients=8) as load:
        assert eventually(lambda: load.answers[401] > 4 * MAX_LINES)
        began = time.monotonic()
        with own_server.client(issuer.token(sub="user_known", permissions=[])) as client:
            assert client.get("/api/v1/teams").status_code == 403
        assert eventually(lambda: any("lines" in line for line in own_server.log))
    took = time.monotonic() - began

    def count() -> int:
        return sum(line["lines"].get("request 401", 0) for line in own_server.log if "lines" in line)

    lines = [line for line in own_server.log if line.get("status") == 401]
    assert MAX_LINES <= len(lines) <= 5 * MAX_LINES
    assert len([line for line in own_server.log if "lines" in line]) <= took + 5
    assert any(line.get("subject") == "user_known" and line.get("status") == 403 for line in own_server.log)
    assert eventually(lambda: len(lines) + count() >= load.answers[401])
