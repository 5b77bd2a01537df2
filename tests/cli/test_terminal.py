"""Values of callers in lines, and arguments in messages, cannot be mistaken for other text."""

from __future__ import annotations

import json

import pytest

from app.audit.batch import Batch
from app.audit.record import decision_key
from app.cli.decisions import decision_line
from app.cli.terminal import quoted
from app.db.decisions import LoggedRecord
from app.identity.principal import user_principal
from app.policy.engine.decision import Decision
from app.policy.language.reason import Reason
from tests.cli.command import command

PLAIN = ["user_2abc", "cli:root", "auth0|123", "https://example.com/a?b=c", "GET", "/api/v1/teams/{team_id}", "józef"]
AMBIGUOUS = [
    "",
    "-",
    "a b",
    "x  by cli:root (cli)  y",
    '"',
    "'",
    "(api)",
    "a\\x1b",
    "“k”",
    "a\u00a0b",
    "a\u3164b",
    "a\nb",
]


@pytest.mark.parametrize("text", PLAIN)
def test_plain_values_are_shown_as_they_are(text: str) -> None:
    assert quoted(text) == text


@pytest.mark.parametrize("text", [*AMBIGUOUS, "\x1b[31m", "\u202e", "\ud800"])
def test_other_values_are_quoted_on_one_line(text: str) -> None:
    shown = quoted(text)
    assert shown.isprintable()
    assert shown[0] == shown[-1] == '"'
    assert not text.isprintable() or json.loads(shown) == text


def test_a_subject_cannot_forge_a_line_of_the_decision_log() -> None:
    who = user_principal("x  GET /a", [], {})
    batch = Batch()
    key = decision_key("app", "/teams", "GET", who, Decision(False, Reason.UNRULED, "rev"))
    batch.add(0, 0, "r", None, batch.key_index(key))
    (record,) = batch.records()
    shown = "".join(part if isinstance(part, str) else part[0] for part in decision_line(LoggedRecord(1, record)))
    assert '  "x  GET /a"  ' in shown


@pytest.mark.parametrize("hostile", ["\x1b[31m", "\u202e", "a\nauthz: done", "\udcff", "\x9b"])
@pytest.mark.parametrize(
    "words",
    [
        "{}",
        "--{}",
        "policy {}",
        "policy who GET {}",
        "policy who {} /api/v1/teams",
        "policy explain --request {}",
        "policy explain --as auth:jwt --given {} GET /api/v1/teams",
        "policy check {}",
        "policy diff {} policies",
        "policy show {}",
        "policy usage --key {}",
        "keys revoke {}",
        "audit --since {}",
        "decisions tail --verdict {}",
        "schema {}",
    ],
)
def test_errors_escape_arguments(words: str, hostile: str) -> None:
    used = command(*(word.format(hostile) for word in words.split(" ")), env={})
    assert used.returncode in (1, 2), used
    assert used.stdout == ""
    assert hostile not in used.stderr
    assert used.stderr.replace("\n", "").isprintable(), used.stderr
    assert "\nauthz: done" not in used.stderr
