"""The page of the admin log: filters, paging, and escaped values."""

from __future__ import annotations

import html
import re
import sqlite3
from contextlib import closing

import pytest

from tests.console.admins import HOSTILE_TEXTS, officer, words
from tests.support.issuer import LiveIssuer
from tests.support.server import DATABASE, Server

PATH = "/console/admin-actions"
KEYS = "/api/v1/api-keys/"


def add(server: Server, actor: str, count: int = 1, **columns: str) -> None:
    """Insert entries into the database that no door would write."""
    values = {
        "at": "2026-11-20 09:00:00.000000",
        "action": "key.revoke",
        "target": "key:1",
        "request_id": "",
        "message": "",
        **columns,
        "author": actor,
    }
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    with closing(sqlite3.connect(server.directory / DATABASE, timeout=10)) as database, database:
        database.executemany(f"INSERT INTO admin_actions ({names}) VALUES ({marks})", [tuple(values.values())] * count)


def test_the_page_shows_a_new_act_with_its_details(console: Server, issuer: LiveIssuer) -> None:
    person = officer(console)
    with console.client(issuer.token(sub="user_acts", permissions="catalog:read")) as client:
        key = client.post(KEYS, json={"name": "nightly", "scopes": ["catalog:read"]}).json()["api_key"]
    page = person.get(f"{PATH}?actor=user_acts&action=key&since=1h&until=").text
    shown = words(page)
    for said in ("Issued a key", "user_acts", f"key:{key['id']}", key["key_prefix"], "nightly", "API", "Verified by"):
        assert said in shown
    assert re.search(r'href="/console/policy/history/[0-9a-f]{16}"', page)
    assert "/console/policy/history/" not in officer(console, "audit:read").get(f"{PATH}?actor=user_acts").text
    target = re.search(rf'href="({PATH}\?target=key[^"]+)"', page)
    assert target
    assert "user_acts" in words(person.get(html.unescape(target[1])).text)


def test_an_invalid_filter_has_its_error_at_its_field(console: Server) -> None:
    person = officer(console)
    for query, said in (
        ("action=nothing", "is not an act"),
        ("since=yesterday", "cannot be read"),
        ("colour=red", "is not a filter"),
        ("actor=a&actor=b", "stands here twice"),
        ("cursor=x", "The cursor is invalid"),
    ):
        answer = person.get(f"{PATH}?{query}")
        assert answer.status_code == 400
        assert said in words(answer.text), query
    assert "No action matches" in words(person.get(f"{PATH}?actor=user_of_none").text)


def test_pages_show_each_act_once(console: Server) -> None:
    person = officer(console)
    add(console, "user_many", 120)
    address, seen = f"{PATH}?actor=user_many", list[str]()
    while address:
        page = person.get(address).text
        seen += re.findall(r", act (\d+)<", page)
        older = re.search(r'rel="next" href="([^"]+)"', page)
        address = html.unescape(older[1]) if older else ""
        assert ("Newest</a>" in page) is (len(seen) > 50)
    assert len(seen) == len(set(seen)) == 120
    assert seen == sorted(seen, key=int, reverse=True)


@pytest.mark.parametrize("number", range(len(HOSTILE_TEXTS)))
def test_text_of_callers_is_escaped(console: Server, number: int) -> None:
    text, shown = list(HOSTILE_TEXTS.items())[number]
    actor = f"user_odd{number}"
    add(console, actor, action=text, target=text, message=text, token_id=text, details=f'{{"name": {_json(text)}}}')
    page = officer(console).get(f"{PATH}?actor={actor}")
    assert page.status_code == 200
    assert words(page.text).count(shown) >= 5
    assert "<script>alert" not in page.text
    assert "onerror=alert(1)>" not in page.text
    assert "\u202e" not in page.text


def test_an_entry_of_an_earlier_release_is_shown(own_console: Server) -> None:
    person = officer(own_console)
    empty = words(person.get(PATH).text)
    assert "No actions yet" in empty
    add(own_console, "", action="policy.files")
    shown = words(person.get(PATH).text)
    assert "Changed the policy files" in shown
    assert "not known" in shown
    assert "Verified by" not in shown


def _json(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
