"""The page of the decision log: filters, paging and live updates."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from functools import partial

from tests.console.admins import officer, words
from tests.support.issuer import LiveIssuer
from tests.support.server import DATABASE, Server, eventually

PATH = "/console/decisions"


def test_a_denial_is_listed_and_links_to_its_explanation(console: Server, issuer: LiveIssuer) -> None:
    person = officer(console)
    with console.client(issuer.token(sub="user_denied", permissions="holdings:read")) as client:
        client.get("/api/v1/teams/7")
    query = f"{PATH}?subject=user_denied&verdict=deny"
    assert eventually(lambda: "lacks catalog:read" in words(person.get(query).text))
    page = person.get(query).text
    why = re.search(r'href="(/console/policy/simulator\?request_id=[^"]+)"', page)
    assert why
    assert "What was decided then" in person.get(why[1]).text
    assert "/console/policy/simulator" not in officer(console, "decisions:read").get(query).text


def test_an_invalid_decision_filter_has_its_error_at_its_field(console: Server) -> None:
    person = officer(console)
    for query, said in (
        ("verdict=maybe", "must be allow or deny"),
        ("since=yesterday", "cannot be read"),
        ("key_id=x", "must be the id of a key"),
        ("colour=red", "is not a filter"),
        ("subject=a&subject=b", "stands here twice"),
        ("cursor=x", "The cursor is invalid"),
    ):
        answer = person.get(f"{PATH}?{query}")
        assert answer.status_code == 400
        assert said in words(answer.text), query
    assert person.get(f"{PATH}?subject=&verdict=&since=").status_code == 200
    assert "No decision matches." in words(person.get(f"{PATH}?subject=user_unknown").text)


def test_decisions_that_the_log_does_not_have_are_counted(console: Server) -> None:
    person = officer(console)
    assert "does not have all decisions" not in words(person.get(PATH).text)
    year = 31_536_000_000_000  # microseconds; about 1971, since other tests use this server
    with closing(sqlite3.connect(console.directory / DATABASE)) as database, database:
        database.executemany(
            "INSERT INTO decision_drops (window_id, decision_class, first_at, last_at, count) VALUES (?, ?, ?, ?, ?)",
            [("a", "known", year - 5, year, 1_200), ("b", "authzen", year + 10, year + 10, 34)],
        )
    assert "The log does not have all decisions: 1,234 lost. The" in words(person.get(PATH).text)
    with closing(sqlite3.connect(console.directory / DATABASE)) as database, database:
        database.execute(
            "INSERT INTO decision_deletions (decision_class, last_id, first_at, last_at, count, began_at, deleted_at) "
            "VALUES ('anonymous', 1, ?, ?, 5600, 0, 0)",
            (year - 9, year),
        )
    for query, said in (
        ("", "all decisions: 1,234 lost, 5,600 deleted since it was too large. The"),
        ("until=1971-01-01", "all decisions of this time: 1,200 lost, 5,600 deleted since"),
    ):
        assert said in words(person.get(f"{PATH}?{query}").text)
    assert "does not have all decisions" not in words(person.get(f"{PATH}?since=1971-01-02").text)
    assert "does not have all decisions" not in words(person.get(f"{PATH}?until=1970-12-31").text)


def test_pages_show_each_decision_once(console: Server, issuer: LiveIssuer) -> None:
    person = officer(console)
    with console.client(issuer.token(sub="user_paged", permissions="catalog:read")) as client:
        for _ in range(120):
            client.head("/api/v1/teams")
    query = f"{PATH}?subject=user_paged"
    seen: list[str] = []

    def shows_all() -> bool:
        seen.clear()
        address = query
        while address:
            page = person.get(address).text
            seen.extend(re.findall(r'<tr data-id="(\d+)"', page))
            older = re.search(r'rel="next" href="([^"]+)"', page)
            address = older[1].replace("&amp;", "&") if older else ""
        return len(seen) == 120

    assert eventually(shows_all)
    assert len(set(seen)) == 120
    assert seen == sorted(seen, key=int, reverse=True)


def test_the_live_log_returns_each_newer_decision_once(console: Server, issuer: LiveIssuer) -> None:
    person = officer(console)
    page = person.get(f"{PATH}?subject=user_live").text
    live = re.search(r'data-live="([^"]+)"', page)
    assert live
    address = live[1].replace("&amp;", "&")
    assert person.get(address).json()["count"] == 0
    with console.client(issuer.token(sub="user_live", permissions="catalog:read")) as client:
        client.get("/api/v1/teams/1")
    assert eventually(lambda: person.get(address).json()["count"] == 1)
    told = person.get(address).json()
    assert "user_live" in told["rows"]
    after = re.sub(r"cursor=[^&]+", f"cursor={told['cursor']}", address)
    assert person.get(after).json()["count"] == 0
    assert officer(console, "policies:read").get(address).status_code == 403


def test_requests_of_the_console_are_hidden_by_default(console: Server) -> None:
    person = officer(console)
    own = f"{PATH}?route=/console/policy/matrix"
    person.get("/console/policy/matrix")

    def shown(query: str) -> bool:
        return "user_officer" in words(person.get(query).text)

    assert eventually(partial(shown, f"{own}&console=yes"))
    assert not shown(own)
