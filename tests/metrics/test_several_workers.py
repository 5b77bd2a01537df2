"""Several workers of one machine: a scrape of one covers all, and no counter decreases."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.metrics.values import Histogram, Values
from app.metrics.workers import WorkerMetrics
from tests.metrics.scraped import Scraped, scrape
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

TEAMS = "/api/v1/teams"
DECISIONS = "authz_decisions_total"


def worker(directory: Path, issuer: LiveIssuer, run: Path) -> Server:
    server = Server(directory, jwks_url=issuer.jwks_url, issuer=issuer.url)
    server.env["AUTHZ_RUN_DIR"] = str(run)
    return server


def ask(server: Server, times: int, token: str) -> None:
    with server.client(token) as client:
        for _ in range(times):
            assert client.get(TEAMS).status_code == 200


def allows(found: Scraped) -> float:
    return found(DECISIONS, resource=TEAMS, verdict="allow")


def test_a_scrape_covers_all_workers_and_keeps_the_counts_of_dead_ones(issuer: LiveIssuer, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    token = issuer.token(permissions=["catalog:read"])
    with worker(tmp_path / "one", issuer, run) as one:
        two = worker(tmp_path / "two", issuer, run).start()
        ask(one, 3, token)
        ask(two, 4, token)
        # Counts that one worker has reported are known to the other from then on.
        assert allows(scrape(one, issuer)) >= 3
        assert allows(scrape(two, issuer)) == 7
        assert allows(scrape(one, issuer)) == 7
        found = scrape(one, issuer)
        assert found.values("authz_worker_silent_seconds", "worker") == pids(one, two)
        assert found.values("authz_policy_info", "worker") == pids(one, two)
        assert len(found.values("authz_policy_info", "revision")) == 1
        assert found("authz_worker_silent_seconds") < 2
        assert found("process_resident_memory_bytes") > 2 * 30_000_000
        assert found("authz_http_request_duration_seconds_count", route=TEAMS, **{"class": "2xx"}) == 7
        assert "worker" not in found.labels(DECISIONS) | found.labels("process_cpu_seconds_total")

        # A suspended worker is alive, but its counts become old.
        two.signal(signal.SIGSTOP)
        silent = {"worker": pids(two).pop()}
        assert eventually(lambda: scrape(one, issuer)("authz_worker_silent_seconds", **silent) > 1.2)
        two.signal(signal.SIGCONT)

        assert two.process
        two.process.kill()
        two.process.wait()
        found = scrape(one, issuer)
        assert allows(found) == 7
        assert found.values("authz_policy_info", "worker") == pids(one)

        # It is replaced, and the counts that it left are added once.
        with worker(tmp_path / "two", issuer, run) as three:
            ask(three, 2, token)
            assert allows(scrape(three, issuer)) == allows(scrape(one, issuer)) == 9
            names = {path.name for path in run.iterdir() if path.suffix == ".numbers"}
            assert names == {"ended.numbers", *(f"{pid}.numbers" for pid in pids(one, three))}
        # It stopped cleanly, and wrote its last counts.
        assert allows(scrape(one, issuer)) == 9


def pids(*servers: Server) -> set[str]:
    return {str(server.process.pid) for server in servers if server.process}


def test_counters_never_decrease_in_any_order_of_writes(tmp_path: Path) -> None:
    with joined(tmp_path) as own:
        newer, older = counted(5, reading=2), counted(3, reading=1)
        own.write(newer)
        own.write(older)
        assert total(own.merge(counted(6, reading=3))) == 6
        assert (tmp_path / f"{os.getpid()}.numbers").exists()
    with joined(tmp_path) as next_worker:
        assert total(next_worker.merge(counted(1, reading=1))) == 7


def test_a_suspended_worker_delays_a_scrape_for_a_bounded_time(tmp_path: Path) -> None:
    with joined(tmp_path) as own, (tmp_path / "all.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError):
            own.merge(counted(1, reading=1))
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert total(own.merge(counted(2, reading=2))) == 2


@contextmanager
def joined(directory: Path) -> Iterator[WorkerMetrics]:
    workers = WorkerMetrics(directory)
    yield workers
    workers.close()


def counted(times: int, reading: int) -> Values:
    values = Values(reading=reading)
    values.set(DECISIONS, times, TEAMS, "app", "allow", "allowed")
    values.add("authz_event_loop_lag_seconds", Histogram(times, {1: times}))
    return values


def total(values: Values) -> float:
    ((_, lag),) = values.histograms["authz_event_loop_lag_seconds"]
    ((_, number),) = values.numbers[DECISIONS]
    assert (lag.total, lag.count) == (number, number)
    return number
