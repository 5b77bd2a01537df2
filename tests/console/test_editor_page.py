"""The forms of the editor, from a draft to the active policy, without scripts."""

from __future__ import annotations

import re

import pytest

from tests.console.admins import HOSTILE_TEXTS, OTHER, READ, active, changed, file, officer, publish, send, words
from tests.console.sessions import Person
from tests.support.issuer import LiveIssuer
from tests.support.server import Server


@pytest.fixture
def officer_(own_console: Server) -> Person:
    return officer(own_console)


def test_a_fault_stops_a_draft_at_its_line(console: Server) -> None:
    person = officer(console)
    fields = changed(console, READ, READ.replace("allow", "alow"))
    told = send(person, "/check", **fields).json()
    assert told["faults"] == 1
    (mark,) = told["marks"]
    assert (mark["severity"], mark["file"], mark["line"], mark["column"]) == ("error", "catalog.csv", 7, 46)
    assert mark["hint"] == "did you mean `allow`?"
    for path in ("/preview", "/publish", "/shadow"):
        stopped = send(person, path, message="m", acknowledge="yes", **fields)
        assert stopped.status_code == 422, path
        assert "<span class=error>7</span>" in stopped.text
        text = words(stopped.text)
        assert "catalog.csv:7:46" in text
        assert "did you mean `allow`?" in text
        assert "alow" in stopped.text
    assert READ in file(console, "catalog.csv")


def test_a_valid_draft_is_shown_with_its_findings(console: Server) -> None:
    person = officer(console)
    told = send(person, "/check", **changed(console, READ, f"{READ}\n{READ}")).json()
    assert told["faults"] == 0
    assert ("warning", "duplicate-row", "catalog.csv", 8) in [
        (mark["severity"], mark["code"], mark["file"], mark["line"]) for mark in told["marks"]
    ]
    assert told["files"] == {"catalog.csv": "changed"}
    told = send(person, "/check", **changed(console, READ, f"{READ}\n" * 600 + READ)).json()
    assert (len(told["marks"]), told["findings"] >= 600) == (500, True)


def test_a_draft_keeps_its_changes_when_another_file_is_opened(console: Server) -> None:
    person = officer(console)
    opened = send(person, "", open="roles.csv", **changed(console, READ, OTHER))
    carried = re.search(r'<textarea hidden name="change"[^>]*>\n(.*?)</textarea>', opened.text, re.S)
    assert carried
    assert carried[1].startswith("catalog.csv\n")
    assert OTHER in carried[1]
    assert "aria-current=true>roles.csv" in opened.text
    change = carried[1].replace("\n", "\r\n")
    added = send(person, "", do="add", name="billing.csv", change=change, file="roles.csv")
    assert "aria-current=true>billing.csv" in added.text
    gone = send(person, "", do="delete", change=change, file="tokens.csv")
    assert "This file is deleted in your draft." in gone.text
    assert "there is no file `tokens.csv` in this policy" in words(gone.text)
    assert "Every policy needs model.conf" in send(person, "", do="delete", change=change, file="model.conf").text
    wrong = send(person, "", do="add", name="../../etc/passwd", change=change, file="roles.csv")
    assert "is not the name of a policy file" in words(wrong.text)


@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
def test_the_text_of_a_draft_survives_the_form(console: Server, text: str) -> None:
    person = officer(console)
    page = send(person, "", do="check", **changed(console, READ, f"# </textarea>{text}\n{READ}")).text
    assert "<img src=x" not in page
    assert "<script>alert" not in page
    assert "# &lt;/textarea&gt;" in page
    preview = send(person, "/preview", **changed(console, READ, f"# </textarea>{text}\n{READ}")).text
    assert "<img src=x" not in preview


def test_a_preview_shows_changes_of_access_and_a_replay(
    own_console: Server, officer_: Person, issuer: LiveIssuer
) -> None:
    with own_console.client(issuer.token(sub="user_reader", permissions="catalog:read")) as client:
        assert client.get("/api/v1/teams").status_code == 200
    fields = changed(own_console, READ, OTHER)
    text = words(send(officer_, "/preview", **fields).text)
    assert "Access widens." in text
    assert "GET|HEAD /api/v1/teams for holders of holdings:read, unless they hold catalog:read" in " ".join(
        text.split()
    )
    assert f"- {READ}" in text
    assert f"+ {OTHER}" in text
    assert "cases fail of" in text
    assert text.index("gains") < text.index("loses")
    assert READ in file(own_console, "catalog.csv")
    for _ in range(50):
        replayed = words(send(officer_, "/replay", last="1d", **fields).text)
        if "user_reader" in replayed:
            break
    assert "user_reader" in replayed
    assert "loses" in replayed
    blind = officer(own_console, "policies:read", "policies:write")
    assert "needs decisions:read" in words(send(blind, "/preview", **fields).text)
    assert send(blind, "/replay", **fields).status_code == 403


def test_a_preview_shows_every_changed_file_with_its_cases(console: Server) -> None:
    person = officer(console)
    text = words(send(person, "/preview", gone="tests/tokens.yaml").text)
    assert "tests/tokens.yaml deleted: 17 cases removed" in text
    assert "- case Nothing else introspects tokens: POST /oauth/introspect as auth:jwt: deny" in text
    assert "17 cases were removed" in text
    assert "No access changes." in text
    assert "formatting alone" not in text
    comment = {"file": "roles.csv", "text": "# Gathered.\n" + file(console, "roles.csv")}
    text = words(send(person, "/preview", **comment).text)
    assert "roles.csv changed: only comments, order or formatting" in text
    many = {"file": "roles.csv", "text": "g, user:bob, role:admin\n" + file(console, "roles.csv")}
    page = send(person, "/preview", **many).text
    assert re.search(r"user:bob gains role:admin: \d+ endpoints", words(page))
    assert re.search(r"<details><summary>Each of \d+ changes</summary>", page)


def test_publishing_needs_a_message_and_an_acknowledged_widening(own_console: Server, officer_: Person) -> None:
    fields = changed(own_console, READ, OTHER)
    assert "Describe the purpose" in words(publish(officer_, fields, message=" ").text)
    assert "at most 2,000 characters" in words(publish(officer_, fields, message="x" * 2001).text)
    assert "the character U+0000" in words(publish(officer_, fields, message="a\x00b").text)
    refused = publish(officer_, fields)
    assert refused.status_code == 422
    assert "check the box to confirm" in words(refused.text)
    assert READ in file(own_console, "catalog.csv")
    done = publish(officer_, fields, acknowledge="yes", message="Teams are holdings. \u202e<script>alert(1)</script>")
    assert done.status_code == 303
    assert OTHER in file(own_console, "catalog.csv")
    page = officer_.get(done.headers["location"])
    text = words(page.text)
    assert "user_officer" in text
    assert "Teams are holdings. ⟨U+202E⟩<script>alert(1)</script>" in text
    assert "<script>alert" not in page.text
    assert "widened access" in text


def test_narrowing_needs_no_acknowledgement(own_console: Server, officer_: Person) -> None:
    narrower = READ.replace("catalog:read", "catalog:read auth:jwt")
    assert publish(officer_, changed(own_console, READ, narrower)).status_code == 303


def test_a_stale_draft_is_refused_and_can_be_rebased(own_console: Server, officer_: Person) -> None:
    mine = changed(own_console, READ, READ.replace("catalog:read", "catalog:read auth:jwt"))
    parent = active(officer_)
    theirs = {"file": "roles.csv", "text": file(own_console, "roles.csv").replace("# end", "# a comment\n# end")}
    assert publish(officer_, theirs, message="Theirs.").status_code == 303
    for path in ("/preview", "/publish"):
        stale = send(officer_, path, parent=parent, message="m", **mine)
        assert stale.status_code == 409
        text = words(stale.text)
        assert "Theirs." in text
        assert "so your draft can be rebased without conflicts" in text
    moved = send(officer_, "", do="rebase", parent=parent, **mine)
    assert f'name="parent" value="{active(officer_)}"' in moved.text
    assert "catalog:read auth:jwt" in moved.text
    assert publish(officer_, mine).status_code == 303
    assert "# a comment" in file(own_console, "roles.csv")
    clash = send(
        officer_, "/preview", parent=parent, file="roles.csv", text=theirs["text"].replace("comment", "remark")
    )
    assert "both changed roles.csv" in words(clash.text)


def test_a_draft_based_on_an_unknown_revision_is_refused(console: Server) -> None:
    for parent in ("f" * 16, "", "\x00", "é" * 16):
        refused = send(officer(console), "/preview", parent=parent, file="roles.csv", text="# end\n")
        assert refused.status_code == 409
        assert "Copy what you wrote" in words(refused.text)


def test_an_empty_draft_has_no_preview(console: Server) -> None:
    assert "The draft has no changes yet" in words(
        send(officer(console), "/preview", **changed(console, READ, READ)).text
    )


def test_a_draft_runs_in_shadow_and_is_withdrawn(own_console: Server, officer_: Person) -> None:
    fields = changed(own_console, READ, OTHER)
    assert send(officer_, "/shadow", message="Try it.", **fields).status_code == 303
    assert READ in file(own_console, "catalog.csv")
    assert "Try it." in words(officer_.get("/console/policy").text)
    assert officer_.post("/console/policy/shadow/withdraw").status_code == 303
    assert "No policy runs in shadow." in words(officer_.get("/console/policy").text)
    assert officer_.post("/console/policy/shadow/withdraw").status_code == 404


def test_the_policy_page_shows_faults_of_the_files(own_console: Server, officer_: Person) -> None:
    path = own_console.policy_dir / "catalog.csv"
    path.write_text(path.read_text().replace(READ, READ.replace("allow", "alow")))
    own_console.wait_for_log(lambda entry: "policy refused" in str(entry.get("event")))
    text = words(officer_.get("/console/policy").text)
    assert "The files on disk were refused" in text
    assert "catalog.csv:7:46" in text
    assert "did you mean `allow`?" in text
