"""Messages and reasons must be readable: no door accepts an invisible text."""

from __future__ import annotations

import pytest

from app.history.change_message import message_fault, reason_fault
from tests.cli.command import command
from tests.history.test_publish import PUBLISH, READ, ROLLBACK, active, admin, body, files, history
from tests.support.issuer import LiveIssuer
from tests.support.secret_texts import PLAIN, SECRETS
from tests.support.server import Server

HIDDEN = (
    "\u200b", "\u200b\u200b\u200b", "\u3164", "\u3164" * 9, "\uffa0\u115f\u1160", "\x1b[8m", "\x1b[8mhidden\x1b[0m",
    "\u202eno reason", "\ufeff\ufeff\ufeff", "\u2060", "\u200d\u200d\u200d", "\u2800\u2800\u2800", "---", "...",
    "\u0301\u0301\u0301", "why\x00", "why\x07", "why\x7f", "why\x9b8m", "why\r", "why\u2028", "why\u200e", "why\u00ad",
    "why\ud800", "why\ue000", "why\U000e0041", "\n\t\n", "\u00a0\u2003\u3000",
)  # fmt: skip
VISIBLE = (
    "Tests follow.", "See #4711", "Line one\nline two\r\n\tindented", "測試失敗", "Größe ändern", "می‌خواهم",
    "Emergency 👩‍🚒 tonight", "a\u00a0b\u2003c", "e\u0301te\u0301", "<b>They</b> follow.",
)  # fmt: skip


@pytest.mark.parametrize("text", HIDDEN)
def test_an_invisible_text_is_no_reason(text: str) -> None:
    assert reason_fault(text)


@pytest.mark.parametrize(
    "text",
    ["\u200b", "\u3164" * 9, "\x1b[8m", "\x1b[8mx\x1b[0m", "a\x00b", "a\x07", "a\x9b8m", "a\ud800", "---", " ", "\r"],
)
def test_a_message_is_visible_and_has_no_control_characters(text: str) -> None:
    assert message_fault(text)


@pytest.mark.parametrize("text", ["why\u202e", "why\u200b", "why\u2028"])
def test_characters_that_pages_escape_are_allowed_in_a_message(text: str) -> None:
    assert message_fault(text) == ""


@pytest.mark.parametrize("text", VISIBLE)
def test_messages_in_every_script_are_stored(text: str) -> None:
    assert (reason_fault(text), message_fault(text)) == ("", "")


def test_a_reason_has_a_minimum_length() -> None:
    assert [bool(reason_fault(text)) for text in ("", "x", "x.", "a b", "abc", "x" * 2001)] == [
        True, True, True, True, False, True,
    ]  # fmt: skip
    assert [bool(message_fault(text)) for text in ("", "m", "x" * 2001)] == [False, False, True]


@pytest.mark.parametrize("text", SECRETS)
def test_a_pasted_secret_is_refused(text: str) -> None:
    for fault in (message_fault(text), reason_fault(text), message_fault(f"Rotate {text}, now")):
        assert fault == "Leave out the API key or the token: this text is stored and shown."


@pytest.mark.parametrize("text", PLAIN)
def test_what_only_resembles_a_secret_is_stored(text: str) -> None:
    assert (reason_fault(text), message_fault(text)) == ("", "")


def test_no_door_accepts_an_invisible_text(own_server: Server, issuer: LiveIssuer) -> None:
    found = files(own_server)
    less = {
        **found,
        "catalog.csv": found["catalog.csv"].replace(READ, READ.replace("catalog:read", "catalog:read auth:jwt")),
    }
    with admin(own_server, issuer) as client:
        parent = active(client)
        request = body(client, less, acknowledge_widening=True)
        for text in ("\u200b", "\u3164\u3164\u3164", "\x1b[8m", "\u202ereason", "x"):
            answer = client.post(PUBLISH, json={**request, "accept_failing_cases": text})
            assert answer.status_code == 400, answer.text
            assert "accept_failing_cases" in answer.text
            back = {"revision": parent, "parent": parent, "accept_failing_cases": text}
            assert client.post(ROLLBACK, json=back).status_code == 400
        for text in ("\u200b", "\x1b[2J fine", " ", "\u3164"):
            assert client.post(PUBLISH, json={**request, "message": text}).status_code == 400
            assert client.put("/api/v1/policies/shadow", json={"files": less, "message": text}).status_code == 400
        assert (
            client.post(ROLLBACK, json={"revision": parent, "parent": parent, "message": "\x1b[8m"}).status_code == 400
        )
        assert (active(client), len(history(client))) == (parent, 1)
    for more in (("-m", "\u200b"), ("-m", "m", "--accept-failing", "\u3164\u3164\u3164"), ("-m", "\x1b[8mx")):
        done = command("policy", "publish", str(own_server.policy_dir), *more, env=own_server.env)
        assert (done.returncode, "Leave out" in done.stderr or "Write words" in done.stderr) == (2, True)
