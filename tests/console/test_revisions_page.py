"""The pages of the history, and rollback."""

from __future__ import annotations

import re

from tests.console.admins import OTHER, READ, active, changed, file, officer, publish, send, words
from tests.policy.shipped import case_count
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

HISTORY = "/console/policy/history"


def test_a_change_is_published_shown_and_rolled_back(own_console: Server, issuer: LiveIssuer) -> None:
    person = officer(own_console)
    first = active(person)
    done = publish(person, changed(own_console, READ, OTHER), acknowledge="yes", message="Teams are holdings.")
    second = active(person)
    assert done.headers["location"] == f"{HISTORY}/{second}?published=yes"
    with own_console.client(issuer.token(permissions="catalog:read")) as client:
        assert client.get("/api/v1/teams").status_code == 403
        listed = person.get(HISTORY).text
        assert [listed.index(second), listed.index(first)] == sorted([listed.index(second), listed.index(first)])
        assert f'href="{HISTORY}/{first}/rollback"' in listed
        shown = words(person.get(f"{HISTORY}/{second}?file=catalog.csv").text)
        assert "Teams are holdings." in shown
        assert f"+ {OTHER}" in shown
        assert "for holders of holdings:read, unless they hold catalog:read" in shown
        ask = words(person.get(f"{HISTORY}/{first}/rollback").text)
        assert f"+ {READ}" in ask
        assert "Access widens, as intended" in ask
        assert file(own_console, "catalog.csv").count(OTHER) == 1
        refused = person.post(f"{HISTORY}/{first}/rollback", parent=second)
        assert refused.status_code == 422
        assert "check the box to confirm" in words(refused.text)
        stale = person.post(f"{HISTORY}/{first}/rollback", parent=first, acknowledge="yes")
        assert "Another policy was published meanwhile" in words(stale.text)
        back = person.post(f"{HISTORY}/{first}/rollback", parent=second, acknowledge="yes")
        assert back.status_code == 303
        assert client.get("/api/v1/teams").status_code == 200
    assert active(person) == first
    assert "rollback" in words(person.get(HISTORY).text)
    assert "There is nothing to roll back" in words(person.get(f"{HISTORY}/{first}/rollback").text)


def test_failing_cases_need_a_reason_that_the_history_shows(own_console: Server) -> None:
    person = officer(own_console)
    first = active(person)
    fields = changed(own_console, READ, READ.replace("catalog:read", "catalog:read auth:jwt"))
    preview = words(send(person, "/preview", **fields).text)
    assert "cases fail" in preview
    assert "tests/catalog.yaml:" in preview
    assert "Why failing or removed cases are accepted" in preview
    refused = publish(person, fields, accept="  ")
    assert refused.status_code == 422
    assert "cases fail: correct the policy or its tests, or write why this is accepted." in words(refused.text)
    assert "at most 2,000 characters" in words(publish(person, fields, accept="x" * 2001).text)
    assert active(person) == first
    done = publish(person, fields, accept="<b>They</b> follow.")
    assert done.status_code == 303
    second = active(person)
    shown = words(person.get(f"{HISTORY}/{second}").text)
    assert "user_officer: <b>They</b> follow." in shown
    assert f"of {case_count():,} cases failed" in shown
    assert f"of {case_count():,} cases failed" in words(person.get(HISTORY).text)
    assert f"cases fail of {case_count():,}" in words(person.get("/console/policy").text)
    back = {"parent": second, "acknowledge": "yes"}
    assert person.post(f"{HISTORY}/{first}/rollback", **back).status_code == 303
    forth = {"parent": first, "message": "Forth."}
    refused = person.post(f"{HISTORY}/{second}/rollback", **forth)
    assert refused.status_code == 422
    assert "cases fail: correct the policy or its tests" in words(refused.text)
    assert 'value="Forth."' in refused.text
    assert person.post(f"{HISTORY}/{second}/rollback", accept="Known.", **forth).status_code == 303
    assert active(person) == second


def test_fewer_publishers_are_a_note_in_both_forms(own_console: Server) -> None:
    person = officer(own_console)
    first = active(person)
    named = f"{READ}\np, key:7, /api/v1/policies/publish, POST, deny"
    fields = changed(own_console, READ, named)
    lost = "POST /api/v1/policies/publish  for holders of policies:write + key:7"
    said = f"Fewer callers could publish a policy: {lost}, unless `has(subject.act.sub)` is met or unknown"
    preview = send(person, "/preview", **fields)
    assert preview.status_code == 200
    assert f"{said}." in words(preview.text)
    assert "Publishing is root" in words(preview.text)
    assert "Access widens" not in words(preview.text)
    assert 'name="fewer"' not in preview.text
    assert publish(person, fields).status_code == 303
    second = active(person)
    assert "fewer" not in person.get(f"{HISTORY}/{first}/rollback").text
    assert person.post(f"{HISTORY}/{first}/rollback", parent=second, acknowledge="yes").status_code == 303
    forth = {"parent": first, "accept": "Known."}
    assert f"{said}." in words(person.get(f"{HISTORY}/{second}/rollback").text)
    assert person.post(f"{HISTORY}/{second}/rollback", **forth).status_code == 303
    assert active(person) == second


def test_a_lock_out_needs_an_acknowledgement(own_console: Server) -> None:
    person = officer(own_console)
    first = active(person)
    by_token = "p, policies:write, /api/v1/policies/publish, POST, allow"
    text = file(own_console, "admin.csv").replace(by_token, by_token.replace("policies:write", "user:ghost"))
    fields = {"file": "admin.csv", "text": text}
    refused = publish(person, fields, acknowledge="yes", accept="Known.")
    assert refused.status_code == 422
    said = "No known caller could publish a policy: only user:ghost, never seen in the decision log"
    assert f"{said}: check the box to confirm." in words(refused.text)
    assert 'name="fewer" value="yes" aria-invalid=true aria-describedby=error-fewer' in refused.text
    assert active(person) == first
    assert publish(person, fields, acknowledge="yes", fewer="yes", accept="Known.").status_code == 303
    assert active(person) != first


def test_an_entry_is_compared_with_the_one_before_it(own_console: Server) -> None:
    person = officer(own_console)
    narrower = READ.replace("catalog:read", "catalog:read auth:jwt")
    publish(person, changed(own_console, READ, narrower))
    publish(person, changed(own_console, narrower, READ), acknowledge="yes", message="And back.")
    entries = re.findall(rf'href="({HISTORY}/[0-9a-f]+\?entry=\d+)"', person.get(HISTORY).text)
    newest, middle, oldest = [words(person.get(entry).text) for entry in entries]
    assert "loses" in middle
    assert "gains" in newest
    assert "none: the first revision" in oldest
    assert "loses" not in newest


def test_an_unknown_revision_is_not_found(console: Server) -> None:
    person = officer(console)
    for path in ("/ffffffffffffffff", "/ffffffffffffffff/rollback", "/%F0%9F%98%80", f"/{active(person)}?entry=999999"):
        assert person.get(HISTORY + path).status_code == 404
    assert person.post(f"{HISTORY}/ffffffffffffffff/rollback").status_code == 404
    assert "There is no older revision" in words(person.get(f"{HISTORY}?before=1").text)


def test_a_user_who_may_only_read_sees_no_rollback(console: Server) -> None:
    person = officer(console, "policies:read")
    assert "rollback" not in person.get(HISTORY).text
    assert "/console/policy/edit" not in person.get("/console/policy").text


def test_an_unwritable_policy_directory_is_reported_by_the_forms(own_console: Server) -> None:
    person = officer(own_console)
    (own_console.policy_dir / "..publishing.new").mkdir()
    done = publish(person, changed(own_console, READ, OTHER), acknowledge="yes", message="Teams are holdings.")
    assert done.status_code == 303, words(done.text)
    page = words(person.get(done.headers["location"]).text)
    assert "the policy directory does not hold it: the policy directory" in page
    assert "cannot be written" in page
    assert active(person) in done.headers["location"]
    assert file(own_console, "catalog.csv").count(READ) == 1
