"""All administration pages: access, forms, and escaped values."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial

import httpx
import pytest

from tests.console.admins import EVERYTHING, HOSTILE_TEXTS, PAGES, officer, words
from tests.console.sessions import Person, sign_in
from tests.support.issuer import LiveIssuer
from tests.support.server import DATABASE, Server, eventually

FORMS = (
    "/console/policy/edit",
    "/console/policy/edit/check",
    "/console/policy/edit/completions",
    "/console/policy/edit/preview",
    "/console/policy/edit/replay",
    "/console/policy/edit/publish",
    "/console/policy/edit/shadow",
    "/console/policy/shadow/withdraw",
    "/console/policy/history/0123456789abcdef/rollback",
    "/console/all-keys/999999/revoke",
    "/console/registered-apps/999999/edit",
    "/console/registered-apps/999999/rotate",
    "/console/registered-apps/999999/disable",
    "/console/registered-apps/999999/enable",
    "/console/registered-apps/999999/remove",
)


@pytest.mark.parametrize(("path", "needed"), PAGES.items(), ids=str)
def test_the_policy_says_who_may_open_a_page(console: Server, path: str, needed: str) -> None:
    person = officer(console)
    opened = person.get(path)
    assert opened.status_code == 200
    assert "Content-Security-Policy" in opened.headers
    assert f'href="{path}" aria-current=page' in opened.text
    others = [permission for permission in EVERYTHING if permission != needed]
    refused = officer(console, *others).get(path)
    assert refused.status_code == 403
    assert needed in words(refused.text)
    assert f'href="{path}"' not in officer(console, *others).get("/console/account").text


@pytest.mark.parametrize("path", FORMS)
def test_a_form_of_another_origin_or_session_is_refused(console: Server, path: str) -> None:
    person = officer(console)
    assert person.post(path, csrf="0" * 64).status_code == 403
    headers = {"Cookie": f"authz={person.token}", "Origin": "https://evil.example"}
    sent = httpx.post(console.url + path, data={"csrf": person.csrf}, headers=headers)
    assert sent.status_code == 403
    assert "another site" in sent.text
    assert sign_in(console, "user_other", []).post(path).status_code == 403


@pytest.mark.parametrize("path", FORMS[1:])
def test_get_changes_nothing(console: Server, path: str) -> None:
    answer = officer(console).get(path)
    missing = path.endswith(("rollback", "revoke")) or ("registered-apps" in path and not path.endswith("enable"))
    assert answer.status_code == (404 if missing else 405)


@pytest.mark.parametrize("number", range(len(HOSTILE_TEXTS)))
def test_text_of_callers_is_escaped(console: Server, issuer: LiveIssuer, number: int) -> None:
    text, shown = list(HOSTILE_TEXTS.items())[number]
    plain = text if text.isprintable() else "plain"
    with console.client(issuer.token(sub=f"user_naughty{number} {plain}", permissions="catalog:read")) as client:
        issued = client.post("/api/v1/api-keys/", json={"name": plain})
        assert issued.status_code == 201, issued.text
    key_id = issued.json()["api_key"]["id"]
    with closing(sqlite3.connect(console.directory / DATABASE)) as database, database:
        # Values that no door accepts may still be in a database.
        database.execute(
            "UPDATE api_keys SET name = ?, subject = ? WHERE id = ?", (text, text, issued.json()["api_key"]["id"])
        )
    person = officer(console)
    pages = {
        "/console/all-keys": shown,
        f"/console/all-keys/{key_id}/revoke": shown,
        "/console/decisions?action=POST": f"user_naughty{number}",
    }
    for path, expected in pages.items():
        assert eventually(partial(_shows, person, path, expected)), path
        page = person.get(path).text
        assert "<img src=x" not in page
        assert "<script>alert" not in page
        assert not set("\u202e\u2066\u200b\ufeff\u0085").intersection(page)
    for name in ("as", "user", "path", "given", "key"):
        answer = _ask(person, "/console/policy/simulator", {name: text, "method": text})
        assert answer.status_code == 400
        assert "<img src=x" not in answer.text
        assert "<script>alert" not in answer.text


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("field", ["policy/matrix?q", "policy/simulator?as", "decisions?subject", "all-keys?owner"])
def test_a_hostile_query_causes_no_server_error(console: Server, field: str, number: int) -> None:
    text = ["\x00", "a\x00b", "x" * 5000, "\u00ed\u00a0\u0080"][number]
    path, _, name = field.partition("?")
    answer = _ask(officer(console), f"/console/{path}", {name: text})
    assert answer.status_code in (200, 400)
    assert "\x00" not in answer.text


def _shows(person: Person, path: str, text: str) -> bool:
    return text in words(person.get(path).text)


def _ask(person: Person, path: str, query: dict[str, str]) -> httpx.Response:
    return httpx.get(person.url + path, params=query, headers={"Cookie": f"authz={person.token}"})
