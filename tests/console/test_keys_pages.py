"""The list of keys and the form to issue one, whose plaintext is shown once."""

from __future__ import annotations

import re
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.console.conftest import console_server
from tests.console.developers import HOSTILE, KEYS, Subject, days, developer, plaintext, teams
from tests.console.sessions import sign_in
from tests.policy.shipped import shipped_files, snapshot_of
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

CATALOG: dict[str, dict[str, Any]] = tomllib.loads(shipped_files()["permissions.toml"].decode())


def test_without_keys_the_page_says_what_to_do(person: Subject) -> None:
    page = person.get(KEYS)
    assert page.status_code == 200
    assert "You have no keys yet" in page.text
    assert "Issue your first key" in page.text


def test_a_key_is_issued_shown_once_and_works(person: Subject, console: Server) -> None:
    answer = person.issue(name="nightly import")
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    token = plaintext(answer)
    assert "Store this token now" in answer.text
    assert teams(console, token).status_code == 200
    (key_path,) = set(re.findall(r"/console/keys/\d+", answer.text))
    for path in (KEYS, key_path, f"{key_path}/rotate", f"{key_path}/revoke"):
        page = person.get(path)
        assert page.status_code == 200
        assert "nightly import" in page.text
        assert token not in page.text
        assert page.headers["cache-control"] == "no-store"
    assert token not in "\n".join(console.written_lines())


def test_the_form_offers_the_permissions_of_the_user_with_their_titles(console: Server) -> None:
    page = developer(console, "catalog:read", "made:up", "decisions:read").get(f"{KEYS}/new").text
    assert re.findall(r'name="scopes" value="([^"]+)"', page) == ["catalog:read", "decisions:read"]
    assert CATALOG["catalog:read"]["grants"] in page
    assert "checked" not in page


def test_a_scope_that_suffices_to_publish_is_marked_as_root(console: Server) -> None:
    person = developer(console, "catalog:read", "policies:read", "policies:write")
    form = person.get(f"{KEYS}/new").text
    number = person.put("root", scopes='["policies:write", "policies:read"]')
    shown = [form, person.get(f"{KEYS}/{number}").text, person.get("/console/account").text]
    for page in shown:
        assert page.count('<span class="pill bad">Root</span>') == 1
        assert page.count("This is root: a policy can give its publisher every other permission.") == 1
        root = page.index('<span class="pill bad">Root</span>')
        assert page.rindex("policies:write", 0, root) > page.rfind("policies:read", 0, root)
    assert "a program with this key can give itself every permission" in form


def test_keys_that_could_publish_are_marked_as_root_in_lists(console: Server) -> None:
    person = developer(console, "catalog:read", "keys:read")
    scopes = {
        "root": '["catalog:read", "decisions:read", "holdings:read", "keys:read", "policies:write"]',
        "plain": '["policies:read"]',
        "ended": '["policies:write"]',
        "lost": '["policies:write"]',
    }
    for name, some in scopes.items():
        changed = {"revoked_at": days(-1)} if name == "ended" else {"token_grants": "[]"} if name == "lost" else {}
        person.put(name, scopes=some, **changed)
    for path in (KEYS, f"/console/all-keys?owner={person.subject}"):
        rows = re.findall("<tr.*?</tr>", person.get(path).text, re.DOTALL)[1:]
        assert len(rows) == len(scopes)
        assert {name for name in scopes for row in rows if name in row and ">Root<" in row} == {"root"}, path


def test_the_form_explains_that_a_user_holds_no_permissions(console: Server) -> None:
    page = sign_in(console, "user_nothing").get(f"{KEYS}/new").text
    assert "You cannot issue a key yet" in page
    assert "user_nothing" in page


def test_permissions_of_a_role_are_offered_and_deprecated_ones_are_marked(own_console: Server) -> None:
    roles = own_console.policy_dir / "roles.csv"
    roles.write_text(roles.read_text().replace("# end\n", "g, user:user_editor, role:editor\n# end\n"))
    catalog = own_console.policy_dir / "permissions.toml"
    catalog.write_text(catalog.read_text().replace('["holdings:read"]\n', '["holdings:read"]\ndeprecated = true\n'))
    editor = Subject(own_console, "user_editor", ())

    def offered() -> list[str]:
        return re.findall(r'name="scopes" value="([^"]+)"', editor.get(f"{KEYS}/new").text)

    granted = snapshot_of(shipped_files()).effective(frozenset({"role:editor"}))
    expected = [name for name in CATALOG if name in granted]
    assert "holdings:write" in expected
    assert "policies:write" not in expected
    assert eventually(lambda: offered() == expected)
    assert eventually(lambda: editor.get(f"{KEYS}/new").text.count("Deprecated") == 1)
    assert editor.issue(scopes=["holdings:read", "catalog:write"]).status_code == 201
    assert editor.issue(scopes=["policies:write"]).status_code == 400


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": " padded "},
        {"name": "x" * 121},
        {"name": "a\nb"},
        {"name": "a\u202eb"},
        {"scopes": []},
        {"scopes": ["policies:write"]},
        {"scopes": ["catalog:fly"]},
        {"scopes": ["role:admin"]},
        {"scopes": ["catalog:read", "catalog:read"]},
        {"environment": "prod"},
        {"lives": "10000"},
        {"lives": ""},
        {"form_id": "x"},
    ],
    ids=str,
)
def test_an_invalid_form_issues_no_key_and_keeps_its_values(person: Subject, fields: dict[str, Any]) -> None:
    answer = person.issue(**{"name": "kept & shown", **fields})
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    if "name" not in fields:
        assert 'value="kept &amp; shown"' in answer.text
    assert "You have no keys yet" in person.get(KEYS).text


def test_a_form_that_is_sent_again_issues_no_second_key(person: Subject) -> None:
    form_id = person.form_id(f"{KEYS}/new")
    first = person.issue(form_id=form_id, name="first")
    again = person.issue(form_id=form_id, name="again")
    assert (first.status_code, again.status_code) == (201, 409)
    assert plaintext(first) not in again.text
    assert "grd_live_" not in again.text
    page = person.get(KEYS).text
    assert "first" in page
    assert "again" not in page
    assert person.issue(name="a new form").status_code == 201


def test_concurrent_submissions_of_a_form_issue_one_key(person: Subject) -> None:
    form_id = person.form_id(f"{KEYS}/new")
    form: dict[str, Any] = {
        "name": "at once",
        "scopes": ["catalog:read"],
        "lives": "7",
        "environment": "live",
        "form_id": form_id,
    }
    with ThreadPoolExecutor(6) as hands:
        sent = [hands.submit(person.post, f"{KEYS}/new", **form) for _ in range(6)]
        answers = sorted(answer.result().status_code for answer in sent)
    assert answers == [201, 409, 409, 409, 409, 409]
    assert person.get(KEYS).text.count(">at once</a>") == 1


def test_an_owner_with_as_many_keys_as_allowed_keeps_what_they_entered(issuer: LiveIssuer, tmp_path: Path) -> None:
    with console_server(issuer, tmp_path, key_max_active="2") as console:
        person = developer(console)
        number, _ = (person.put(name) for name in ("first", "second"))
        form_id = person.form_id(f"{KEYS}/new")
        refused = person.issue(form_id=form_id, name="one more")
        assert refused.status_code == 409
        assert "No key was issued. You have 2 active API keys" in refused.text
        assert f'<a href="{KEYS}">Show the keys</a>' in refused.text
        assert 'value="one more"' in refused.text
        person.post(f"{KEYS}/{number}/revoke")
        assert person.issue(form_id=form_id, name="one more").status_code == 201


def test_a_form_that_failed_can_be_sent_again(person: Subject) -> None:
    form_id = person.form_id(f"{KEYS}/new")
    assert person.issue(form_id=form_id, scopes=["policies:write"]).status_code == 400
    assert person.issue(form_id=form_id).status_code == 201


def test_the_list_shows_the_status_of_each_key(person: Subject) -> None:
    person.put("stays", last_used_at=days(-1))
    person.put("ends", expires_at=days(6.9))
    person.put("lasts", expires_at=days(7.1))
    person.put("over", expires_at=days(-1))
    person.put("gone", revoked_at=days(-1), expires_at=days(1))
    page = person.get(KEYS).text
    rows = {
        match[1]: match[2]
        for match in re.finditer(r'<a href="/console/keys/\d+">(\w+)</a>.*?<span class="pill \w+">([\w ]+)', page, re.S)
    }
    assert rows == {"stays": "Active", "ends": "Expires soon", "lasts": "Active", "over": "Expired", "gone": "Revoked"}
    assert "Used <time" in page
    assert "Never used" in page
    for state, names in {
        "active": {"stays", "lasts"},
        "expiring": {"ends"},
        "expired": {"over"},
        "revoked": {"gone"},
    }.items():
        shown = person.get(f"{KEYS}?state={state}").text
        assert set(re.findall(r'<a href="/console/keys/\d+">(\w+)</a>', shown)) == names
    assert re.findall(r'class="count">(\d+)<', page) == ["5", "2", "1", "1", "1"]


def test_keys_are_sorted_and_paged(person: Subject) -> None:
    for number in range(60):
        person.put(f"key{number:02}", created_at=days(-number), last_used_at=days(-number) if number % 2 else None)

    def names(query: str) -> list[str]:
        return re.findall(r'<a href="/console/keys/\d+">(\w+)</a>', person.get(f"{KEYS}?{query}").text)

    assert names("")[:2] == ["key00", "key01"]
    assert len(names("")) == 50
    assert len(names("page=2")) == 10
    assert names("page=3") == []
    assert names("sort=name&down=false")[0] == "key00"
    assert names("sort=name&down=true")[0] == "key59"
    assert names("sort=used&down=true")[0] == "key01"
    assert names("sort=used&down=false")[0] == "key59"
    assert "Page 1 of 2" in person.get(KEYS).text
    assert 'rel="next" href="/console/keys?page=2"' in person.get(KEYS).text
    for query in ("page=0", "page=x", "sort=digest", "state=other", "down=2"):
        answer = person.get(f"{KEYS}?{query}")
        assert answer.status_code == 400
        assert answer.headers["content-type"].startswith("text/html")


def test_the_navigation_marks_the_current_page(person: Subject) -> None:
    key_id = person.put("somewhere")
    assert '<a href="/console/keys" aria-current=page>My keys</a>' in person.get(KEYS).text
    assert '<a href="/console/keys" aria-current=true>My keys</a>' in person.get(f"{KEYS}/{key_id}/revoke").text
    assert "aria-current" not in person.get("/console/account").text.partition("<nav")[2]


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=list(HOSTILE))
def test_the_name_of_a_key_is_escaped_on_every_page(person: Subject, hostile: str) -> None:
    key_id = person.put(hostile)
    for path in (KEYS, f"{KEYS}/{key_id}", f"{KEYS}/{key_id}/revoke", f"{KEYS}/{key_id}/rotate"):
        page = person.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert '" autofocus' not in page.text
        assert not set("\u202e\u202c\x00") & set(page.text)
        assert "xyzq" not in page.text
    if hostile.startswith("a\u202e"):
        assert "U+202E" in page.text


@pytest.mark.parametrize("path", ["new", "7/revoke", "7/rotate"])
def test_a_form_of_another_site_changes_nothing(console: Server, path: str) -> None:
    owner = developer(console)
    key_id = owner.put("stays")
    target = f"{console.url}{KEYS}/{path.replace('7', str(key_id))}"
    cookie = {"Cookie": f"authz={owner.token}"}
    fields = {
        "name": "x",
        "scopes": "catalog:read",
        "lives": "7",
        "environment": "live",
        "grace": "0",
        "form_id": "a" * 32,
    }
    stolen = {**fields, "csrf": developer(console).csrf}
    own = {**fields, "csrf": owner.csrf}
    answers = [
        httpx.post(target, data=fields, headers=cookie),
        httpx.post(target, data=stolen, headers=cookie),
        httpx.post(target, data=own, headers={**cookie, "Origin": "https://evil.example"}),
        httpx.post(target, data=own),
        httpx.post(target, json=own, headers=cookie),
    ]
    assert [answer.status_code for answer in answers] == [403, 403, 403, 401, 415]
    page = owner.get(KEYS).text
    assert page.count('<th scope="row">') == 1
    assert "Active" in page


def test_a_token_opens_no_page_and_a_session_does_not_open_the_api(
    person: Subject, console: Server, issuer: LiveIssuer
) -> None:
    jwt = {"Authorization": f"Bearer {issuer.token(sub=person.subject, permissions=['catalog:read'])}"}
    assert httpx.get(console.url + KEYS, headers=jwt).status_code == 303
    assert person.get("/api/v1/api-keys/").status_code == 401
    assert person.post("/api/v1/api-keys/1/rotate/").status_code == 401
