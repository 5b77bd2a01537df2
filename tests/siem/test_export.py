"""A server that delivers its logs to a SIEM: complete, also after it is killed, and beside requests."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.audit.batch import Batch
from app.db.decision_writer import DecisionWriter
from app.db.engine import open_engine
from app.db.session import sessions_of
from tests.cli.command import command
from tests.db.records import RECORD, varied
from tests.metrics.scraped import scrape
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually
from tests.support.siem_receiver import ReceivedBatch, ReceiverAnswer, SiemReceiver

SECRET = "Bearer do-not-log-this-token"
SECONDS = 20.0


@pytest.fixture
def receivers() -> Iterator[tuple[SiemReceiver, SiemReceiver]]:
    with SiemReceiver() as first, SiemReceiver() as second:
        yield first, second


def siem_server(directory: Path, issuer: LiveIssuer, url: str, otlp: SiemReceiver, events: SiemReceiver) -> Server:
    directory.mkdir(exist_ok=True)
    return Server(
        directory,
        jwks_url=issuer.jwks_url,
        issuer=issuer.url,
        database_url=url,
        siem_otlp_url=f"{otlp.url}/v1/logs",
        siem_otlp_header=f"Authorization: {SECRET}",
        siem_cloudevents_url=f"{events.url}/?key=do-not-log-this-either",
        public_url="https://authz.example.com",
    )


def decided(receiver: SiemReceiver) -> list[str]:
    """The ids of decisions that a receiver has, each once, in the order of the log."""
    found = dict.fromkeys(event["metadata"]["uid"] for event in receiver.events if event["class_uid"] == 6003)
    return list(found)


def fill(url: str, count: int) -> None:
    async def run() -> None:
        engine = open_engine(url)
        records = (varied(RECORD, at=time.time_ns() // 1000, subject=f"user_{number % 50}") for number in range(count))
        await DecisionWriter(sessions_of(engine)).write(Batch.of(records))
        await engine.dispose()

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_server_that_is_killed_goes_on_where_it_ended(
    url: str, tmp_path: Path, issuer: LiveIssuer, receivers: tuple[SiemReceiver, SiemReceiver]
) -> None:
    otlp, events = receivers
    fill(url, 1_200)
    server = siem_server(tmp_path / "server", issuer, url, otlp, events).start()
    assert eventually(lambda: min(len(otlp.events), len(events.events)) >= 250, SECONDS)
    server.signal(signal.SIGKILL)
    server.stop()
    with siem_server(tmp_path / "server", issuer, url, otlp, events) as server:
        with server.client(issuer.token(permissions=["catalog:read"])) as client:
            assert client.get("/api/v1/teams/").status_code == 200
            request_id = client.get("/api/v1/teams/", headers={"X-Request-ID": "the-last-one"}).headers["X-Request-ID"]
        for receiver in receivers:
            assert eventually(lambda receiver=receiver: len(decided(receiver)) >= 1_202, SECONDS)  # type: ignore[misc]
            numbers = [int(event_id.split("-")[1]) for event_id in decided(receiver)]
            assert numbers == sorted(numbers)
            assert len(numbers) == 1_202, "an event that is sent again has the same id"
            last = [event for event in receiver.events if event["api"]["request"]["uid"] == request_id]
            assert last[-1]["actor"]["user"]["uid"]
            assert last[-1]["status_id"] == 1

        def delivered() -> bool:
            shown = command("siem", "status", "--json", env=server.env, cwd=server.directory)
            assert shown.returncode == 0
            rows = [each for each in json.loads(shown.stdout) if each["log"] == "decisions"]
            assert [each["destination"] for each in rows] == ["cloudevents", "otlp"]
            assert {(each["error"], each["refused"], each["missed"]) for each in rows} == {("", 0, 0)}
            return all(each["pending"] == 0 for each in rows)

        # The position is stored after the receiver has answered.
        assert eventually(delivered, SECONDS)


def test_a_destination_that_fails_holds_up_neither_requests_nor_the_other_one(
    tmp_path: Path, issuer: LiveIssuer, receivers: tuple[SiemReceiver, SiemReceiver]
) -> None:
    otlp, events = receivers

    def hang(_batch: ReceivedBatch) -> ReceiverAnswer:
        time.sleep(2)
        return ReceiverAnswer(503)

    otlp.answer = hang
    url = f"sqlite:///{tmp_path / 'server' / 'authz.db'}"
    with siem_server(tmp_path / "server", issuer, url, otlp, events) as server:
        with server.client(issuer.token(permissions=["catalog:read"])) as client:
            answers = [client.get("/api/v1/teams/").status_code for _ in range(50)]
        assert answers == [200] * 50
        assert eventually(lambda: len(decided(events)) >= 50, SECONDS)

        def readiness() -> dict[str, object]:
            found: dict[str, object] = httpx.get(f"{server.url}/readyz").json()
            return found

        assert eventually(lambda: readiness()["status"] == "degraded", SECONDS)
        answer = httpx.get(f"{server.url}/readyz")
        assert answer.status_code == 200
        siem = answer.json()["checks"]["siem"]
        assert siem["ok"] is False
        assert siem["otlp"]["decisions"]["error"] == "HTTP 503"
        assert siem["otlp"]["decisions"]["pending"] >= 50
        assert siem["otlp"]["decisions"]["lag_seconds"] > 0
        assert siem["cloudevents"]["decisions"]["error"] is None
        shown = command("siem", "status", env=server.env, cwd=server.directory)
        assert shown.returncode == 1
        assert "otlp         decisions  0 delivered, up to " in shown.stdout
        assert re.search(r'^    fails since \S+Z: "HTTP 503"$', shown.stdout, re.MULTILINE)
        value = scrape(server, issuer)
        assert value("authz_siem_failures_total", destination="otlp", log="decisions") >= 1
        assert value("authz_siem_pending", destination="otlp", log="decisions") >= 50
        assert value("authz_siem_delivered_total", destination="cloudevents", log="decisions") >= 50
        otlp.answer = lambda _batch: ReceiverAnswer()
        assert eventually(lambda: len(decided(otlp)) >= 50, SECONDS)
        assert eventually(lambda: readiness()["status"] == "ready", SECONDS)
        assert otlp.batches[0][0].headers["Authorization"] == SECRET
        log = "\n".join(server.written_lines())
        assert "records are not delivered; trying again" in log
        assert "records are delivered again" in log
        assert "do-not-log" not in log
        forgotten = command("siem", "forget", "otlp", env=server.env, cwd=server.directory)
        assert (forgotten.returncode, forgotten.stdout) == (0, "Forgot what was delivered to otlp.\n")
        assert "do-not-log" not in json.dumps(answer.json()) + shown.stdout + shown.stderr


def test_nothing_is_sent_without_a_destination(tmp_path: Path, issuer: LiveIssuer) -> None:
    with Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url) as server:
        assert "siem" not in httpx.get(f"{server.url}/readyz").json()["checks"]
        shown = command("siem", "status", env=server.env, cwd=server.directory)
        assert shown.returncode == 0
        assert shown.stdout.startswith("Nothing was ever delivered")
        forgotten = command("siem", "forget", "cloudevents", env=server.env, cwd=server.directory)
        assert (forgotten.returncode, forgotten.stdout) == (1, "")
        assert "nothing was ever delivered to cloudevents" in forgotten.stderr
