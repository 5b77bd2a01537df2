"""My keys, over HTTP: whose they are, what they may hold, and a plaintext that is shown once."""

from __future__ import annotations

import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
import pytest

from app.identity.api_keys import mint
from tests.console.sessions import Person, sign_in
from tests.issuer import LiveIssuer
from tests.server import Server, eventually

KEYS = "/console/keys"
HOSTILE = {
    "script": "<script>alert(1)</script>",
    "attribute": '" autofocus onfocus="alert(1)',
    "bidi": "a\u202etxt.exe\u202c",
    "nul": "a\x00b",
    "template": "{{ 'xy' ~ 'zq' }}{% raw %}",
    "long": "W" * 200,
    "astral": "\U0001f3c8 \u0e47\u0e47\u0e47 ﷽",
}
_people = count(1)


@pytest.fixture
def person(console: Server) -> Subject:
    """A developer without keys."""
    return developer(console)


def developer(console: Server, *permissions: str) -> Subject:
    subject = f"user_dev_{next(_people)}_{datetime.now(UTC).timestamp()}"
    return Subject(console, subject, permissions or ("catalog:read", "catalog:write"))


class Subject(Person):
    """Somebody with a session, and their name at the issuer."""

    def __init__(self, console: Server, subject: str, permissions: tuple[str, ...]) -> None:
        super().__init__(console, sign_in(console, subject, permissions).token)
        self.subject = subject
        self.database = console.directory / "authz.db"

    def once(self, path: str) -> str:
        """The id of a form on a page."""
        found = re.search(r'name="once" value="([0-9a-f]{32})"', self.get(path).text)
        assert found
        return found[1]

    def issue(self, **fields: Any) -> httpx.Response:
        form = {"name": "CI", "scopes": ["catalog:read"], "lives": "90", "environment": "live", **fields}
        return self.post(f"{KEYS}/new", **{"once": self.once(f"{KEYS}/new"), **form})

    def put(self, name: str, **columns: Any) -> int:
        """A key straight in the database: its number."""
        new = mint("live")
        now = datetime.now(UTC)
        row = {
            "subject": self.subject,
            "name": name,
            "environment": "live",
            "key_prefix": new.prefix,
            "digest": new.digest,
            "scopes": '["catalog:read"]',
            "created_at": now,
            **columns,
        }
        cells = [_stored(cell) for cell in row.values()]
        with closing(sqlite3.connect(self.database, timeout=10)) as database, database:
            marks = ", ".join("?" * len(row))
            return int(
                database.execute(f"INSERT INTO api_keys ({', '.join(row)}) VALUES ({marks})", cells).lastrowid or 0
            )


def _stored(cell: Any) -> Any:
    return cell.astimezone(UTC).replace(tzinfo=None).isoformat(" ") if isinstance(cell, datetime) else cell


def days(number: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=number)


def plaintext(answer: httpx.Response) -> str:
    found = re.search(r"grd_(?:live|test)_[0-9a-f]{48}", answer.text)
    assert found, answer.text
    return found[0]


def teams(console: Server, token: str) -> httpx.Response:
    with console.client(token) as client:
        return client.get("/api/v1/teams/")


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
    assert token not in "\n".join(console.lines)


def test_the_form_offers_what_one_holds_in_the_words_of_the_catalogue(console: Server) -> None:
    page = developer(console, "catalog:read", "made:up", "decisions:read").get(f"{KEYS}/new").text
    assert re.findall(r'name="scopes" value="([^"]+)"', page) == ["catalog:read", "decisions:read"]
    assert "Look at leagues, seasons, franchises, teams, venues, games and their drives." in page
    assert "checked" not in page


def test_whoever_holds_nothing_is_told_so(console: Server) -> None:
    page = sign_in(console, "user_nothing").get(f"{KEYS}/new").text
    assert "A key could do nothing yet" in page
    assert "user_nothing" in page


def test_a_role_counts_and_what_is_deprecated_says_so(own_console: Server) -> None:
    roles = own_console.policy_dir / "roles.csv"
    roles.write_text(roles.read_text().replace("# end\n", "g, user:user_editor, role:editor\n# end\n"))
    catalog = own_console.policy_dir / "permissions.toml"
    catalog.write_text(catalog.read_text().replace('["holdings:read"]\n', '["holdings:read"]\ndeprecated = true\n'))
    editor = Subject(own_console, "user_editor", ())

    def offered() -> list[str]:
        return re.findall(r'name="scopes" value="([^"]+)"', editor.get(f"{KEYS}/new").text)

    assert eventually(lambda: offered() == ["catalog:read", "catalog:write", "holdings:read", "holdings:write"])
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
        {"once": "x"},
    ],
    ids=str,
)
def test_a_form_that_is_not_right_issues_nothing_and_keeps_what_was_written(
    person: Subject, fields: dict[str, Any]
) -> None:
    answer = person.issue(**{"name": "kept & shown", **fields})
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    if "name" not in fields:
        assert 'value="kept &amp; shown"' in answer.text
    assert "You have no keys yet" in person.get(KEYS).text


def test_a_form_that_is_sent_again_issues_no_second_key(person: Subject) -> None:
    once = person.once(f"{KEYS}/new")
    first = person.issue(once=once, name="first")
    again = person.issue(once=once, name="again")
    assert (first.status_code, again.status_code) == (201, 409)
    assert plaintext(first) not in again.text
    assert "grd_live_" not in again.text
    page = person.get(KEYS).text
    assert "first" in page
    assert "again" not in page
    assert person.issue(name="a new form").status_code == 201


def test_of_a_form_that_is_sent_twice_at_once_one_counts(person: Subject) -> None:
    once = person.once(f"{KEYS}/new")
    form: dict[str, Any] = {
        "name": "at once",
        "scopes": ["catalog:read"],
        "lives": "7",
        "environment": "live",
        "once": once,
    }
    with ThreadPoolExecutor(6) as hands:
        sent = [hands.submit(person.post, f"{KEYS}/new", **form) for _ in range(6)]
        answers = sorted(answer.result().status_code for answer in sent)
    assert answers == [201, 409, 409, 409, 409, 409]
    assert person.get(KEYS).text.count(">at once</a>") == 1


def test_a_form_with_a_fault_is_not_used_up(person: Subject) -> None:
    once = person.once(f"{KEYS}/new")
    assert person.issue(once=once, scopes=["policies:write"]).status_code == 400
    assert person.issue(once=once).status_code == 201


def test_the_status_of_each_key_is_told(person: Subject) -> None:
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


def test_keys_are_sorted_and_come_in_pages(person: Subject) -> None:
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


def test_the_navigation_says_where_one_is(person: Subject) -> None:
    key_id = person.put("somewhere")
    assert '<a href="/console/keys" aria-current=page>My keys</a>' in person.get(KEYS).text
    assert '<a href="/console/keys" aria-current=true>My keys</a>' in person.get(f"{KEYS}/{key_id}/revoke").text
    assert "aria-current" not in person.get("/console/account").text.partition("<nav")[2]


def test_another_persons_key_looks_like_none(person: Subject, console: Server) -> None:
    key_id = person.put("mine")
    other = developer(console)
    for spelled in (str(key_id), "999999999", "0", "-1", "first", f"+{key_id}", "9" * 30):
        for path in ("", "/revoke", "/rotate"):
            answer = other.get(f"{KEYS}/{spelled}{path}")
            assert answer.status_code == 404, (spelled, path)
            assert "API key not found." in answer.text
        assert other.post(f"{KEYS}/{spelled}/revoke").status_code == 404
        assert other.post(f"{KEYS}/{spelled}/rotate", grace="0", once="a" * 32).status_code == 404
    assert "Active" in person.get(f"{KEYS}/{key_id}").text


def test_a_revoked_key_is_refused_by_the_next_request(person: Subject, console: Server) -> None:
    answer = person.issue(name="to be revoked")
    token = plaintext(answer)
    (path,) = set(re.findall(r"/console/keys/\d+", answer.text))
    assert teams(console, token).status_code == 200
    asked = person.get(f"{path}/revoke").text
    assert "Revoke “to be revoked”?" in asked
    assert '<button class="danger">Revoke to be revoked</button>' in asked
    assert teams(console, token).status_code == 200, "to look at the question revokes nothing"
    assert person.post(f"{path}/revoke").headers["location"] == f"{path}?done=revoked"
    refused = teams(console, token)
    assert (refused.status_code, refused.json()["detail"]) == (401, "API key has been revoked.")
    page = person.get(f"{path}?done=revoked").text
    assert "is revoked. The next request with it is refused." in page
    assert "Nothing any more" in page
    assert "/rotate" not in page


def test_a_rotated_key_and_its_successor_both_work_for_a_while(person: Subject, console: Server) -> None:
    answer = person.issue(name="rotates")
    old = plaintext(answer)
    (path,) = set(re.findall(r"/console/keys/\d+", answer.text))
    once = person.once(f"{path}/rotate")
    rotated = person.post(f"{path}/rotate", grace="3600", once=once)
    assert rotated.status_code == 201
    new = plaintext(rotated)
    assert new != old
    assert teams(console, old).status_code == teams(console, new).status_code == 200
    assert "goes on and expires" in rotated.text
    assert "Expires soon" in person.get(path).text
    again = person.post(f"{path}/rotate", grace="3600", once=once)
    assert again.status_code == 409
    assert person.get(KEYS).text.count(">rotates</a>") == 2
    stopped = person.post(f"{path}/rotate", grace="0", once=person.once(f"{path}/rotate"))
    assert stopped.status_code == 201
    assert "has stopped" in stopped.text
    assert teams(console, old).status_code == 401
    assert "so no other can take its place" in person.get(f"{path}/rotate").text


def test_what_cannot_be_rotated_says_why(person: Subject) -> None:
    lost = person.put("held more", scopes='["holdings:read"]')
    page = person.get(f"{KEYS}/{lost}/rotate").text
    assert "You no longer hold <code>holdings:read</code>" in page
    assert '<form method="post" action="/console/keys' not in page
    assert person.post(f"{KEYS}/{lost}/rotate", grace="0", once="a" * 32).status_code == 403
    gone = person.put("gone", revoked_at=days(-1))
    assert person.post(f"{KEYS}/{gone}/rotate", grace="0", once="b" * 32).status_code == 409
    assert person.post(f"{KEYS}/{gone}/rotate", grace="7", once="c" * 32).status_code == 400


def test_the_page_of_a_key_tells_what_it_reaches_and_what_it_used(person: Subject, console: Server) -> None:
    answer = person.issue(scopes=["catalog:read", "catalog:write"])
    token = plaintext(answer)
    (path,) = set(re.findall(r"/console/keys/\d+", answer.text))
    page = person.get(path).text
    assert "<code>/api/v1/teams/{team_id}</code></th><td>GET PUT PATCH DELETE" in page
    assert "/api/v1/sources" not in page
    assert page.count("Not used") == 2
    for _ in range(3):
        assert teams(console, token).status_code == 200
    assert eventually(lambda: "Used 3 times" in person.get(path).text, 10)
    page = person.get(path).text
    assert page.count("Not used") == 1
    assert "These would have done: <code>catalog:read</code>" in page


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=list(HOSTILE))
def test_a_name_is_shown_as_text_wherever_it_stands(person: Subject, hostile: str) -> None:
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
def test_a_form_from_elsewhere_changes_nothing(console: Server, path: str) -> None:
    somebody = developer(console)
    key_id = somebody.put("stays")
    target = f"{console.url}{KEYS}/{path.replace('7', str(key_id))}"
    cookie = {"Cookie": f"authz={somebody.token}"}
    fields = {
        "name": "x",
        "scopes": "catalog:read",
        "lives": "7",
        "environment": "live",
        "grace": "0",
        "once": "a" * 32,
    }
    stolen = {**fields, "csrf": developer(console).csrf}
    own = {**fields, "csrf": somebody.csrf}
    answers = [
        httpx.post(target, data=fields, headers=cookie),
        httpx.post(target, data=stolen, headers=cookie),
        httpx.post(target, data=own, headers={**cookie, "Origin": "https://evil.example"}),
        httpx.post(target, data=own),
        httpx.post(target, json=own, headers=cookie),
    ]
    assert [answer.status_code for answer in answers] == [403, 403, 403, 401, 415]
    page = somebody.get(KEYS).text
    assert page.count('<th scope="row">') == 1
    assert "Active" in page


def test_a_token_in_a_header_opens_no_page_and_a_session_no_api(
    person: Subject, console: Server, issuer: LiveIssuer
) -> None:
    jwt = {"Authorization": f"Bearer {issuer.token(sub=person.subject, permissions=['catalog:read'])}"}
    assert httpx.get(console.url + KEYS, headers=jwt).status_code == 303
    assert person.get("/api/v1/api-keys/").status_code == 401
    assert person.post("/api/v1/api-keys/1/rotate/").status_code == 401
