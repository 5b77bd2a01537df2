"""The pages of the registry of apps: the list, the forms, and a secret that is shown once."""

from __future__ import annotations

import re
import secrets
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.console.admins import HOSTILE_TEXTS, officer, words
from tests.console.sessions import Person
from tests.support.server import DATABASE, Server

PATH = "/console/registered-apps"
REDIRECT = "https://app.example/cb"


def register(person: Person, name: str = "Scores", runs: str = "server", **given: str) -> httpx.Response:
    form = {"name": name, "redirects": REDIRECT, "runs": runs, "form_id": secrets.token_hex(16), **given}
    return person.post(f"{PATH}/new", **form)


def secret(answer: httpx.Response) -> str:
    found = re.search("grd_ocs_[0-9a-f]{48}", answer.text)
    assert found, answer.text
    return found[0]


def number(answer: httpx.Response) -> int:
    found = re.search(rf"{PATH}/(\d+)", answer.headers.get("location") or answer.text)
    assert found, answer.text
    return int(found[1])


def test_a_secret_is_shown_once(console: Server) -> None:
    person = officer(console)
    form_id = secrets.token_hex(16)
    shown = register(person, form_id=form_id)
    assert (shown.status_code, shown.headers["cache-control"]) == (201, "no-store")
    plaintext, app = secret(shown), number(shown)
    for path in (PATH, f"{PATH}/{app}", f"{PATH}/{app}/rotate"):
        assert plaintext not in person.get(path).text
    again = register(person, form_id=form_id)
    assert again.status_code == 409
    assert "This form was sent before." in words(again.text)
    rotated = person.post(f"{PATH}/{app}/rotate", overlap="3600", form_id=secrets.token_hex(16))
    assert rotated.status_code == 201
    assert secret(rotated) != plaintext
    assert "The old secret is accepted, too" in words(rotated.text)
    page = person.get(f"{PATH}/{app}/rotate").text
    assert 'value="0"' in page
    assert 'value="86400"' not in page
    refused = person.post(f"{PATH}/{app}/rotate", overlap="3600", form_id=secrets.token_hex(16))
    assert refused.status_code == 409
    ended = person.post(f"{PATH}/{app}/rotate", overlap="0", form_id=secrets.token_hex(16))
    assert "The old secret is accepted" not in words(ended.text)


def test_the_page_says_what_the_app_may_ask_for(console: Server) -> None:
    person = officer(console)
    path = f"{PATH}/{number(register(person))}"
    page = words(person.get(path).text)
    assert "By the rows of the active policy." in page
    for scope in ("Read the catalog catalog:read apps.csv:4", "Read holdings holdings:read apps.csv:5"):
        assert scope in page
    assert "catalog:write" not in page
    assert "apps.csv" not in words(officer(console, "apps:read").get(path).text)
    person.post(f"{path}/disable")
    assert "once it is enabled" in words(person.get(path).text)
    with closing(sqlite3.connect(console.directory / DATABASE, timeout=10)) as database, database:
        database.execute("UPDATE oauth_clients SET kind = 'dynamic' WHERE id = ?", (path.rpartition("/")[2],))
    assert "Nothing: no row of the policy lets it." in words(person.get(path).text)


def test_a_public_app_has_no_secret(console: Server) -> None:
    person = officer(console)
    made = register(person, "On a device", "device", redirects="http://127.0.0.1/cb\r\n\r\n com.example.app:/cb \r\n")
    assert made.status_code == 303
    page = words(person.get(made.headers["location"]).text)
    assert "None: it proves itself by PKCE alone" in page
    assert "None: its redirects are not all https on one host" in page
    assert "com.example.app:/cb" in page
    assert "It has no secret" in words(person.get(f"{made.headers['location']}/rotate").text)
    refused = person.post(f"{made.headers['location']}/rotate", overlap="0", form_id=secrets.token_hex(16))
    assert refused.status_code == 409


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "This field is required."),
        ({"redirects": ""}, "This field is required."),
        ({"redirects": "\n \n"}, "Must have at least one redirect URI."),
        ({"runs": ""}, "This field is required."),
        ({"runs": "elsewhere"}, "Input should be 'server' or 'device'"),
        ({"name": "x" * 61}, "Must have at most 60 characters."),
        ({"name": "a\u202eb"}, "Must be printable"),
        ({"redirects": f"{REDIRECT}\nhttp://app.example/"}, "Redirect 2 must begin with https://"),
        ({"redirects": "javascript:alert(1)"}, "Redirect 1 must"),
        ({"redirects": "x" * 30_001}, "String should have at most 30000 characters"),
    ],
)
def test_an_invalid_field_has_its_error_and_keeps_its_text(
    console: Server, fields: dict[str, str], message: str
) -> None:
    answer = register(officer(console), **fields)
    assert answer.status_code == 400
    assert message in words(answer.text)
    assert "No app was registered: 1 field is invalid." in words(answer.text)
    for text in fields.values():
        if text.isascii() and len(text) < 100:
            assert text.strip() in words(answer.text) or f'value="{text}"' in answer.text or text in ("", "elsewhere")


def test_an_app_is_edited_disabled_enabled_and_removed(console: Server) -> None:
    person = officer(console)
    app = number(register(person, "Before"))
    path = f"{PATH}/{app}"
    form = person.get(f"{path}/edit").text
    assert 'value="Before"' in form
    assert REDIRECT in form
    assert person.post(f"{path}/edit", name=" ", redirects=REDIRECT).status_code == 400
    changed = person.post(f"{path}/edit", name="After", redirects=f"{REDIRECT}\n{REDIRECT}2")
    assert changed.headers["location"] == f"{path}?done=changed"
    page = words(person.get(changed.headers["location"]).text)
    assert "After is changed." in page
    assert f"{REDIRECT}2" in page
    assert "Disable “After”?" in words(person.get(f"{path}/disable").text)
    disabled = person.post(f"{path}/disable")
    assert "After is disabled." in words(person.get(disabled.headers["location"]).text)
    assert "It was disabled" in words(person.get(f"{path}/disable").text)
    assert "After" in words(person.get(f"{PATH}?status=disabled").text)
    enabled = person.post(f"{path}/enable")
    assert "After is enabled." in words(person.get(enabled.headers["location"]).text)
    assert "is disabled." not in words(person.get(disabled.headers["location"]).text)
    assert "Remove “After”?" in words(person.get(f"{path}/remove").text)
    removed = person.post(f"{path}/remove")
    assert "The app is removed" in words(person.get(removed.headers["location"]).text)
    assert person.get(path).status_code == 404
    for act in ("edit", "rotate", "disable", "enable", "remove"):
        form_id, name = secrets.token_hex(16), "x"
        sent = person.post(f"{path}/{act}", overlap="0", form_id=form_id, name=name, redirects=REDIRECT)
        assert sent.status_code == 404, act


@pytest.mark.parametrize("app_id", ["0", "999999", "x", "9" * 20, "app_1"])
def test_an_app_that_does_not_exist(console: Server, app_id: str) -> None:
    person = officer(console)
    for act in ("", "/edit", "/rotate", "/disable", "/remove"):
        assert person.get(f"{PATH}/{app_id}{act}").status_code == 404


def test_who_may_only_look_sees_no_links_to_forms(console: Server) -> None:
    app = number(register(officer(console)))
    reader = officer(console, "apps:read")
    assert f"{PATH}/new" not in reader.get(PATH).text
    page = reader.get(f"{PATH}/{app}").text
    assert f"{PATH}/{app}/" not in page
    assert "/console/admin-actions" not in page
    assert register(reader).status_code == 403
    for act in ("edit", "rotate", "disable", "enable", "remove"):
        assert reader.post(f"{PATH}/{app}/{act}").status_code == 403


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_text_of_apps_is_escaped(console: Server, text: str) -> None:
    person = officer(console)
    app = number(register(person))
    with closing(sqlite3.connect(console.directory / DATABASE, timeout=10)) as database, database:
        # Values that no door accepts may still be in a database.
        database.execute(
            "UPDATE oauth_clients SET name = ?, host = ?, kind = 'dynamic', redirect_uris = json_array(?) WHERE id = ?",
            (text, text, text, app),
        )
    for path in (PATH, f"{PATH}/{app}", *(f"{PATH}/{app}/{act}" for act in ("rotate", "disable", "remove"))):
        page = person.get(path)
        assert page.status_code == 200
        assert HOSTILE_TEXTS[text] in words(page.text)
        assert "<img src=x" not in page.text
        assert "<script>alert" not in page.text
        assert not set("\u202e\u2066\u200b\ufeff\u0085").intersection(page.text)
    assert person.get(f"{PATH}/{app}/edit").status_code == 409


def test_the_list_is_filtered_and_paged(own_console: Server) -> None:
    person = officer(own_console)
    assert "There are no apps yet" in words(person.get(PATH).text)
    now = datetime.now(UTC)
    rows = [
        (
            f"app_{at:024x}",
            "dynamic" if at % 2 else "registered",
            f"App {at}",
            str(now.replace(tzinfo=None)),
            str((now + timedelta(days=-1)).replace(tzinfo=None)) if at == 3 else None,
        )
        for at in range(120)
    ]
    with closing(sqlite3.connect(own_console.directory / DATABASE)) as database, database:
        database.executemany(
            "INSERT INTO oauth_clients (client_id, kind, name, redirect_uris, version, created_by, created_at,"
            " changed_at, expires_at) VALUES (?, ?, ?, '[]', '1', '', ?4, ?4, ?5)",
            rows,
        )

    def listed(page: str) -> list[int]:
        return [int(found) for found in re.findall(r">App (\d+)<", page)]

    first = person.get(f"{PATH}?kind=dynamic")
    assert listed(first.text) == list(range(119, 19, -2))
    following = re.search(r'rel="next" href="([^"]+)"', first.text)
    assert following is not None
    second = person.get(following[1].replace("&amp;", "&"))
    assert listed(second.text) == [19, 17, 15, 13, 11, 9, 7, 5, 1]
    assert f'href="{PATH}?kind=dynamic"' in second.text
    assert "No app matches" in words(person.get(f"{PATH}?status=disabled").text)
    for wrong in (
        "kind=x",
        "status=x",
        "cursor=x",
        f"{following[1].partition('?')[2].replace('dynamic', 'registered')}",
    ):
        assert person.get(f"{PATH}?{wrong.replace('&amp;', '&')}").status_code == 400
