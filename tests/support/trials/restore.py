"""Restore the database while replicas run or are paused: all follow it, and none keeps a lost policy."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx

from tests.history.replicas import another, ask, replica, served
from tests.history.test_publish import PUBLISH, admin, body, history
from tests.support.databases import Postgres
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

STYLE = "/docs/style.css"
OPEN = f"p, anyone, {STYLE}, GET|HEAD, allow"
SHUT = f"p, policies:write, {STYLE}, GET|HEAD, allow"
FOLLOWED = 10.0  # seconds, since an ended connection is retried for a while


def restore(url: str, copy: str, at: str) -> None:
    """Replace the database by a copy, as `DROP DATABASE` and a restore do. `at` is another database."""
    name, made_from = (each.partition("@/")[2].partition("?")[0] for each in (url, copy))
    ask(
        at,
        f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false",
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ('{name}', '{made_from}')",
        f"DROP DATABASE {name} WITH (FORCE)",
        f"CREATE DATABASE {name} TEMPLATE {made_from}",
    )


def copied(url: str, copy: str, at: str) -> None:
    """Copy the current database."""
    name, made = (each.partition("@/")[2].partition("?")[0] for each in (url, copy))
    ask(
        at,
        f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false",
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
        f"DROP DATABASE IF EXISTS {made}",
        f"CREATE DATABASE {made} TEMPLATE {name}",
        f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true",
    )


def published(server: Server, issuer: LiveIssuer, content: dict[str, str], wait: int = 10) -> str:
    """Publish a policy at a server, and return its revision once all live ones serve it."""
    with admin(server, issuer) as client:
        sent = body(client, content, acknowledge_widening=True)
        answer = client.post(PUBLISH, json=sent, params={"wait": wait} if wait else {})
    if answer.status_code != 200 or (wait and answer.json()["replicas"]["behind"]):
        raise RuntimeError(answer.text)
    revision: str = answer.json()["revision"]
    return revision


def settled(servers: list[Server], issuer: LiveIssuer) -> str:
    """Wait until all servers serve the newest revision; return it."""
    found = [""]

    def all_serve() -> bool:
        with admin(servers[0], issuer) as client:
            answer = client.get("/api/v1/policies/history")
        if answer.status_code != 200:
            return False
        found[0] = answer.json()["results"][0]["revision"]
        return {served(server) for server in servers} == {found[0]}

    if not eventually(all_serve, FOLLOWED):
        raise RuntimeError(f"{[served(server) for server in servers]} are served, and the newest is {found[0]}")
    return found[0]


def trial(servers: list[Server], issuer: LiveIssuer, urls: tuple[str, str, str], *, asleep: bool) -> Iterator[str]:
    """Restore once; yield the faults."""
    one, other = servers
    url, copy, at = urls
    settled(servers, issuer)
    shut = {name: text.replace(OPEN, SHUT) for name, text in another(one).items()}
    kept = published(one, issuer, shut)
    copied(url, copy, at)
    settled(servers, issuer)
    opened = {name: text.replace(SHUT, OPEN) for name, text in another(one).items()}
    lost = published(one, issuer, opened)
    if httpx.get(f"{other.url}{STYLE}").status_code != 200:
        yield "the lost policy was not in force before the restore"
    if asleep:
        other.signal(signal.SIGSTOP)
    try:
        restore(url, copy, at)
        if settled([one], issuer) != kept:
            yield "the restored database has another newest revision"
        if asleep:
            kept = published(one, issuer, {**shut, **another_of(shut)}, wait=0)
    finally:
        if asleep:
            other.signal(signal.SIGCONT)
    if (now := settled(servers, issuer)) != kept:
        yield f"{now} is served, where {kept} is the newest"
    for server in servers:
        if httpx.get(f"{server.url}{STYLE}").status_code not in (401, 403):
            yield f"the lost policy, {lost}, still decides at {server.url}"
    if not any("the database was restored" in str(entry.get("event")) for entry in other.log):
        yield "the restore is not in the log"
    with admin(one, issuer) as client:
        entries = [entry["revision"] for entry in history(client)]

        def none_lags() -> bool:
            listed = client.get("/api/v1/replicas/").json()["results"]
            return not any(entry["live"] and (entry["lost"] or entry["lag_revisions"]) for entry in listed)

        if not eventually(none_lags, FOLLOWED):
            yield "replicas are listed as lagging"
    other.stop()
    other.lines.clear()
    other.start()
    with admin(one, issuer) as client:
        if settled(servers, issuer) != kept or [entry["revision"] for entry in history(client)] != entries:
            yield "after a restart the lost policy is the newest again"


def another_of(content: dict[str, str]) -> dict[str, str]:
    """A policy file with another comment."""
    return {"catalog.csv": content["catalog.csv"].replace("# end\n", "# after the restore\n# end\n")}


def restores(
    times: int, asleep: Sequence[bool] = (True, False), *, issuer: LiveIssuer, postgres: Postgres, place: Path
) -> Iterator[str]:
    """Restore `times` times while one server is paused, and while both serve; yield the faults."""
    url, copy, at = (postgres.new(prepared=True) for _ in range(3))
    with ExitStack() as stack:
        servers = [stack.enter_context(replica(place / name, issuer, url)) for name in ("one", "two")]
        for number in range(times):
            for sleeps in asleep:
                for fault in trial(servers, issuer, (url, copy, at), asleep=sleeps):
                    yield f"{number}, {'asleep' if sleeps else 'awake'}: {fault}"
