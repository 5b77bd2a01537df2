"""All processes on one PostgreSQL database serve its newest revision, whichever process created it."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from app.db import revisions
from app.db.availability import UNAVAILABLE
from app.db.engine import open_engine
from app.db.session import sessions_of
from app.policy.language.source import digest
from tests.cli.command import command
from tests.history.replicas import another, ask, away, cut_off, edit, publish, replica, served
from tests.history.test_publish import PUBLISH, active, admin, body, files, history
from tests.support.databases import Postgres
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

RELOAD = "/api/v1/policies/reload"
REPLICAS = "/api/v1/replicas/"


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> str:
    return postgres.new(prepared=True)


@pytest.fixture(scope="module")
def two(url: str, issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """Two replicas with their own directories, which agree before and after each test."""
    directory = tmp_path_factory.mktemp("replicas")
    with replica(directory / "one", issuer, url) as one, replica(directory / "two", issuer, url) as other:
        yield one, other


def agree(*servers: Server, seconds: float = 3.0) -> bool:
    """Whether all replicas come to serve the same revision from equal files."""
    return eventually(
        lambda: (
            len({served(server) for server in servers}) == 1
            and all(files(server) == files(servers[0]) for server in servers)
        ),
        seconds,
    )


def test_a_policy_published_at_one_replica_is_served_and_written_by_the_other(
    two: tuple[Server, Server], issuer: LiveIssuer
) -> None:
    one, other = two
    content = another(one)
    told = publish(one, issuer, content, wait=10)
    assert told["replicas"]["behind"] == []
    assert told["replicas"]["serving"] == 2
    assert served(other) == told["revision"]
    assert eventually(lambda: files(other) == content)
    assert "replicas" not in publish(other, issuer, another(other))
    assert agree(*two)


def test_files_edited_at_one_replica_become_the_policy_of_both(two: tuple[Server, Server], issuer: LiveIssuer) -> None:
    one, other = two
    assert agree(*two)
    edit(other, another(other))
    with admin(other, issuer) as client:
        told = client.post(RELOAD, params={"wait": 10}).json()
    assert told["replicas"]["behind"] == []
    assert served(one) == told["revision"]
    assert agree(*two)
    with admin(one, issuer) as client:
        assert client.post(RELOAD).json() == {"revision": told["revision"], "outcome": "unchanged", "changed": []}
        for wait in ("-1", "31", "soon"):
            assert client.post(RELOAD, params={"wait": wait}).status_code == 400


def test_the_replicas_are_listed_with_what_they_serve(two: tuple[Server, Server], issuer: LiveIssuer) -> None:
    assert agree(*two)
    with admin(two[0], issuer) as client:
        now = active(client)
        found = client.get(REPLICAS).json()
        assert found["newest"]["revision"] == now
        assert [entry["revision"] for entry in found["results"]] == [now, now]
        assert {(entry["live"], entry["lag_revisions"], entry["lag_seconds"]) for entry in found["results"]} == {
            (True, 0, 0.0)
        }
        assert len({entry["pid"] for entry in found["results"]}) == 2
        assert all(0 <= entry["seen_seconds"] < 4 for entry in found["results"])
    with two[0].client(issuer.token(permissions=["catalog:read"])) as client:
        assert client.get(REPLICAS).status_code == 403


def test_a_key_revoked_at_one_replica_is_refused_by_the_other(two: tuple[Server, Server], issuer: LiveIssuer) -> None:
    one, other = two
    with one.client(issuer.token(permissions=["catalog:read"])) as owner:
        for _ in range(3):
            key = owner.post("/api/v1/api-keys/", json={"name": "k", "scopes": ["catalog:read"]}).json()
            with other.client(key["plaintext"]) as program:
                assert program.get("/api/v1/teams/").status_code == 200
                owner.post(f"/api/v1/api-keys/{key['api_key']['id']}/revoke/")
                # Far below the second for which a key is cached without notifications.
                assert eventually(lambda: program.get("/api/v1/teams/").status_code == 401, 0.5)


def test_one_of_two_concurrent_changes_succeeds_and_all_serve_it(
    two: tuple[Server, Server], issuer: LiveIssuer
) -> None:
    assert agree(*two)
    contents = [another(server) for server in two]
    with admin(two[0], issuer) as first, admin(two[1], issuer) as second, ThreadPoolExecutor(2) as pool:
        bodies = [body(first, content) for content in contents]
        clients = (first, second)
        answers = list(pool.map(lambda n: clients[n].post(PUBLISH, json=bodies[n]), range(2)))
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        won = next(answer.json()["revision"] for answer in answers if answer.status_code == 200)
        lost = next(answer.json() for answer in answers if answer.status_code == 409)
        assert lost["active"] == won
        assert history(first)[0]["revision"] == won
    assert agree(*two)
    assert served(two[0]) == won


def test_one_of_two_concurrent_edits_succeeds_and_the_other_is_kept(
    two: tuple[Server, Server], issuer: LiveIssuer
) -> None:
    one, other = two
    assert agree(*two)
    before = served(one)
    contents = [another(server) for server in two]
    for server, content in zip(two, contents, strict=True):
        edit(server, content)
    assert eventually(lambda: served(one) == served(other) != before)
    now = served(one)
    with admin(one, issuer) as client:
        assert history(client)[0]["revision"] == now
        loser, lost = next(
            (server, content)
            for server, content in zip(two, contents, strict=True)
            if content != client.get(f"/api/v1/policies/history/{now}").json()["files"]
        )
    # The losing edit stays in its directory, and every process reports it.
    assert files(loser) == lost
    with admin(loser, issuer) as client:
        assert eventually(lambda: httpx.get(f"{loser.url}/readyz").json()["checks"]["policy"]["files_lag"])
        (fault,) = client.post(RELOAD).json()["faults"]
        assert (fault["code"], now in fault["message"]) == ("outdated-files", True)
        assert eventually(lambda: any(entry["files_lag"] for entry in client.get(REPLICAS).json()["results"]))
        # It can be published on top of the other one.
        assert client.post(PUBLISH, json=body(client, lost)).status_code == 200
    assert agree(*two)


def test_outdated_files_are_no_change_even_after_a_restart(
    url: str, two: tuple[Server, Server], issuer: LiveIssuer, tmp_path: Path
) -> None:
    one = two[0]
    assert agree(*two)
    third = replica(tmp_path / "third", issuer, url)
    shutil.copytree(one.policy_dir, third.policy_dir, dirs_exist_ok=True)
    with third:
        # As with an unwritable directory.
        (third.policy_dir / "..publishing.new").mkdir()
        old = files(third)
        now = publish(one, issuer, another(one), wait=10)["revision"]
        assert served(third) == now
        assert files(third) == old
        assert httpx.get(f"{third.url}/readyz").json()["checks"]["policy"]["files_lag"] is True
        edit(third, another(third))
        third.wait_for_log(lambda entry: "these files are based on revision" in str(entry.get("faults")))
        edit(third, old)
        with admin(third, issuer) as client:
            answer = client.post(RELOAD)
            assert answer.status_code == 422
            assert f"while {now} is active" in answer.json()["faults"][0]["message"]
            done = client.post(PUBLISH, json=body(client, another(one)), params={"wait": 10}).json()
            assert "cannot be written" in done["files_lag"]
            assert done["replicas"]["behind"] == []
            now = done["revision"]
        assert (served(one), served(third), files(third)) == (now, now, old)
        edit(third, another(third))
        revision = digest({name: text.encode() for name, text in files(third).items()})
        assert eventually(lambda: ask(url, f"SELECT 1 FROM outdated_files WHERE revision = '{revision}'") != [], 10)
        third.stop()
        third.lines.clear()
        third.start()
        assert served(third) == now == served(one)
        # Unknown files are a change that was made while no process ran.
        third.stop()
        third.lines.clear()
        edit(third, another(one))
        third.start()
        new = digest({name: text.encode() for name, text in files(third).items()})
        assert served(third) == new != now
        assert eventually(lambda: served(one) == new)
    assert agree(*two)


def test_a_lagging_replica_publishes_on_the_newest_revision(
    url: str, two: tuple[Server, Server], issuer: LiveIssuer, tmp_path: Path
) -> None:
    one = two[0]
    assert agree(*two)
    behind = replica(tmp_path / "behind", issuer, url)
    for name, content in files(one).items():  # without the record of a change, which may still be there
        (behind.policy_dir / name).write_text(content)
    publish(one, issuer, another(one), wait=10)
    candidate = Path(shutil.copytree(one.policy_dir, tmp_path / "candidate"))
    (candidate / "catalog.csv").write_text(another(one)["catalog.csv"])
    old = files(behind)
    words = ("policy", "publish", str(candidate), "-m", "From elsewhere")
    assert "Would publish" in command(*words, "--dry-run", env=behind.env).stdout
    assert files(behind) == old
    done = command(*words, "--wait", "10", env=behind.env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 live replicas serve it" in done.stdout
    assert files(behind)["catalog.csv"] == (candidate / "catalog.csv").read_text()
    assert agree(*two)


def test_a_revision_that_does_not_fit_the_routes_is_refused_and_reported(
    url: str, two: tuple[Server, Server], issuer: LiveIssuer
) -> None:
    one, other = two
    assert agree(*two)
    good = served(one)
    theirs = files(one)
    theirs["catalog.csv"] = theirs["catalog.csv"].replace("/api/v1/teams/**", "/api/v2/teams/**")

    async def accept() -> None:
        """Accept a policy as a version of the program with other routes."""
        engine = open_engine(url)
        async with sessions_of(engine)() as session:
            await revisions.add(
                session,
                parent=await revisions.head(session),
                revision="0123456789abcdef",
                kind="publish",
                author="newer",
                message="For other routes.",
                widens=False,
                changes=(),
                files=theirs,
                now=datetime.now(UTC),
            )
            await session.commit()
        await engine.dispose()

    asyncio.run(accept())
    for server in two:
        assert eventually(
            lambda each=server: httpx.get(f"{each.url}/readyz").json()["checks"]["policy"]["newest_refused"]  # type: ignore[misc]
        )
        assert served(server) == good
        server.wait_for_log(lambda entry: str(entry.get("event")).startswith("the newest policy is refused here"))
    with admin(one, issuer) as client:
        waited = client.post(RELOAD, params={"wait": 0.1}).json()
        assert eventually(lambda: all(entry["refused"] for entry in client.get(REPLICAS).json()["results"]))
        found = client.get(REPLICAS).json()["results"]
        assert {entry["lag_revisions"] for entry in found} == {1}
        assert all(entry["lag_seconds"] > 0 for entry in found)
        edit(one, another(one))
        assert client.post(RELOAD).status_code == 422
        edit(one, files(other))
        # It cannot be compared here, so replacing it needs an acknowledgement.
        answer = client.post(PUBLISH, json=body(client, files(other)))
        assert (answer.status_code, "0123456789abcdef" in answer.json()["detail"]) == (409, True)
        assert client.post(PUBLISH, json=body(client, files(other), acknowledge_widening=True)).status_code == 200
        assert [entry["revision"] for entry in history(client)[:3]] == [good, "0123456789abcdef", good]
        assert waited["revision"] == good
        assert eventually(lambda: not any(entry["refused"] for entry in client.get(REPLICAS).json()["results"]))
    assert agree(*two)


def test_replicas_catch_up_without_notifications_and_after_a_pause(
    url: str, two: tuple[Server, Server], issuer: LiveIssuer
) -> None:
    one, other = two
    assert eventually(lambda: cut_off(url) >= 2)
    told = publish(one, issuer, another(one))
    assert eventually(lambda: served(other) == told["revision"], 2)
    other.signal(signal.SIGSTOP)
    try:
        told = publish(one, issuer, another(one), wait=0.3)
        assert [entry["pid"] for entry in told["replicas"]["behind"]] == [other.process.pid if other.process else 0]
    finally:
        other.signal(signal.SIGCONT)
    assert eventually(lambda: served(other) == told["revision"], 1)
    assert agree(*two)


def test_a_policy_that_may_be_too_old_decides_nothing(
    postgres: Postgres, url: str, issuer: LiveIssuer, tmp_path: Path
) -> None:
    own = postgres.new(prepared=True)
    secret = "g" * 32
    alone = replica(
        tmp_path / "alone", issuer, own, policy_max_stale_seconds="4", gateway_secrets=secret, key_cache_seconds="0.2"
    )
    granted = ["catalog:read", "policies:write"]
    with alone, alone.client(issuer.token(permissions=granted)) as person:
        teams = "/openapi.json"
        assert person.get(teams).status_code == 200
        with away(own, url):
            started = time.monotonic()
            assert person.get(teams).status_code == 200
            health = httpx.get(f"{alone.url}/readyz").json()["checks"]["policy"]
            assert health["ok"]
            untold = person.post(RELOAD, params={"wait": 1})
            assert (untold.status_code, untold.json()["detail"]) == (503, UNAVAILABLE)
            change = {"files": files(alone), "parent": health["revision"], "message": "Now?"}
            unknown = person.post(PUBLISH, json=change)
            assert (unknown.status_code, "does not answer" in unknown.json()["detail"]) == (503, True)
            assert eventually(lambda: person.get(teams).status_code == 503, 8)
            assert time.monotonic() - started > 0.9
            refused = person.get(teams)
            assert refused.json() == {"detail": "The policy may be out of date."}
            assert int(refused.headers["retry-after"]) > 0
            asked = {"X-Gateway-Secret": secret, "X-Original-Method": "GET", "X-Original-URI": "/api/v1/teams"}
            gateway = person.get("/gateway/nginx", headers=asked)
            assert (gateway.status_code, "retry-after" in gateway.headers) == (403, True)
            assert httpx.get(f"{alone.url}/healthz").status_code == 200
            down = httpx.get(f"{alone.url}/readyz")
            assert (down.status_code, down.json()["checks"]["policy"]["ok"]) == (503, False)
            assert down.json()["checks"]["policy"]["contact_age_seconds"] >= 4
        assert eventually(lambda: person.get(teams).status_code == 200, 5)
        assert httpx.get(f"{alone.url}/readyz").json()["checks"]["policy"]["ok"] is True
