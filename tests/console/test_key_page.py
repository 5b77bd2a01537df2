"""The page of a key: its reach and use, revocation and rotation."""

from __future__ import annotations

import re

from tests.console.developers import KEYS, Subject, days, developer, plaintext, teams
from tests.support.server import Server, eventually


def test_the_key_of_another_user_is_not_found(person: Subject, console: Server) -> None:
    key_id = person.put("mine")
    other = developer(console)
    for spelled in (str(key_id), "999999999", "0", "-1", "first", f"+{key_id}", "9" * 30):
        for path in ("", "/revoke", "/rotate"):
            answer = other.get(f"{KEYS}/{spelled}{path}")
            assert answer.status_code == 404, (spelled, path)
            assert "API key not found." in answer.text
        assert other.post(f"{KEYS}/{spelled}/revoke").status_code == 404
        assert other.post(f"{KEYS}/{spelled}/rotate", grace="0", form_id="a" * 32).status_code == 404
    assert "Active" in person.get(f"{KEYS}/{key_id}").text


def test_a_revoked_key_is_refused_by_the_next_request(person: Subject, console: Server) -> None:
    answer = person.issue(name="to be revoked")
    token = plaintext(answer)
    (path,) = set(re.findall(r"/console/keys/\d+", answer.text))
    assert teams(console, token).status_code == 200
    asked = person.get(f"{path}/revoke").text
    assert "Revoke “to be revoked”?" in asked
    assert '<button class="danger">Revoke to be revoked</button>' in asked
    assert teams(console, token).status_code == 200, "the confirmation page revokes nothing"
    assert person.post(f"{path}/revoke").headers["location"] == f"{path}?done=revoked"
    refused = teams(console, token)
    assert (refused.status_code, refused.json()["detail"]) == (401, "API key has been revoked.")
    page = person.get(f"{path}?done=revoked").text
    assert "is revoked. The next request with it is refused." in page
    assert "Nothing: every request" in page
    assert "/rotate" not in page


def test_a_rotated_key_and_its_successor_both_work_for_a_while(person: Subject, console: Server) -> None:
    answer = person.issue(name="rotates")
    old = plaintext(answer)
    (path,) = set(re.findall(r"/console/keys/\d+", answer.text))
    form_id = person.form_id(f"{path}/rotate")
    rotated = person.post(f"{path}/rotate", grace="3600", form_id=form_id)
    assert rotated.status_code == 201
    new = plaintext(rotated)
    assert new != old
    assert teams(console, old).status_code == teams(console, new).status_code == 200
    assert "keeps working and expires" in rotated.text
    page = person.get(path).text
    assert ">Rotated<" in page
    (successor,) = set(re.findall(r"/console/keys/\d+", page)) - {path}
    assert "Active" in person.get(successor).text
    asked = person.get(f"{path}/rotate").text
    assert "A key can be rotated once." in asked
    assert f'href="{successor}/rotate"' in asked
    again = person.post(f"{path}/rotate", grace="3600", form_id=form_id)
    assert again.status_code == 409
    assert person.get(KEYS).text.count(">rotates</a>") == 2
    stopped = person.post(f"{successor}/rotate", grace="0", form_id=person.form_id(f"{successor}/rotate"))
    assert stopped.status_code == 201
    assert "no longer works" in stopped.text
    assert (teams(console, old).status_code, teams(console, new).status_code) == (200, 401)
    asked = person.get(f"{path}/rotate").text
    assert "That one is expired, so issue a new key instead." in asked
    unused = person.put("over", expires_at=days(-1))
    assert "so it cannot be rotated" in person.get(f"{KEYS}/{unused}/rotate").text


def test_the_page_says_why_a_key_cannot_be_rotated(person: Subject) -> None:
    lost = person.put("held more", scopes='["holdings:read"]')
    page = person.get(f"{KEYS}/{lost}/rotate").text
    assert "You no longer hold <code>holdings:read</code>" in page
    assert '<form method="post" action="/console/keys' not in page
    assert person.post(f"{KEYS}/{lost}/rotate", grace="0", form_id="a" * 32).status_code == 403
    gone = person.put("gone", revoked_at=days(-1))
    assert person.post(f"{KEYS}/{gone}/rotate", grace="0", form_id="b" * 32).status_code == 409
    assert person.post(f"{KEYS}/{gone}/rotate", grace="7", form_id="c" * 32).status_code == 400


def test_the_page_of_a_key_shows_its_reach_and_the_use_of_its_scopes(person: Subject, console: Server) -> None:
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
    assert "Narrower scopes that would suffice: <code>catalog:read</code>" in page


def test_a_scope_that_no_role_gives_any_more_is_marked(person: Subject) -> None:
    lost = person.put("by a role", scopes='["catalog:read", "holdings:read"]', token_grants='["holdings:read"]')
    page = person.get(f"{KEYS}/{lost}").text
    assert page.count("Not in force") == 1
    assert "Not in force" in page[page.index("<code>catalog:read</code>") : page.index("<code>holdings:read</code>")]
    assert "Not in force" not in person.get(f"{KEYS}/{person.put('from before the record')}").text
