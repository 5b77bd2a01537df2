"""Completions of the editor over HTTP: those of every editor, for the draft that was sent."""

from __future__ import annotations

import pytest

from app.policy.editing.completion import completions
from tests.console.admins import READ, active, changed, file, officer, send
from tests.policy.shipped import routes, shipped_files
from tests.support.server import Server

PATH = "/completions"


def at(text: str, row: str, before: str) -> dict[str, str]:
    """The position behind `before` in a row of a text."""
    line = next(number for number, each in enumerate(text.split("\n"), 1) if each == row)
    return {"line": str(line), "column": str(len(before) + 1)}


def test_the_permissions_of_the_draft_are_completed(console: Server) -> None:
    person = officer(console)
    row = "p, catalog:re"
    fields = changed(console, READ, row)
    answer = send(person, PATH, **fields, **at(fields["text"].replace("\r\n", "\n"), row, row))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    first = answer.json()["completions"][0]
    assert (first["text"], first["kind"], first["detail"]) == ("catalog:read", "permission", "Read the catalog")
    assert (first["column"], first["end"]) == (4, 14)


def test_they_are_those_of_other_editors(console: Server) -> None:
    person = officer(console)
    sources = {name: data.decode() for name, data in shipped_files().items()}
    for name in ("catalog.csv", "roles.csv", "tests/catalog.yaml", "permissions.toml", "model.conf"):
        lines = sources[name].split("\n")
        for line in range(1, len(lines), 7):
            column = len(lines[line - 1]) + 1
            sent = send(person, PATH, file=name, text=sources[name], line=str(line), column=str(column)).json()
            found = completions(sources, routes(), name, line, column)
            grants = [each["text"] for each in sent["completions"] if each["kind"] in ("permission", "role")]
            assert grants == [each.text for each in found[:50] if each.kind in ("permission", "role")]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"line": "0", "column": "0"}, 200),
        ({"line": "999999", "column": "1"}, 200),
        ({"line": "1", "column": "999999999"}, 200),
        ({"line": "1", "column": "1", "file": "../../etc/passwd"}, 200),
        ({"line": "1", "column": "1", "file": "nowhere.csv"}, 200),
        ({}, 400),
        ({"line": "-1", "column": "1"}, 400),
        ({"line": "1", "column": "1e3"}, 400),
        ({"line": "9" * 5_000, "column": "1"}, 400),
        ({"line": "1", "column": "1", "parent": "0" * 16}, 409),
        ({"line": "1", "column": "1", "parent": "' OR 1=1"}, 409),
    ],
)
def test_any_position_is_answered_or_refused(console: Server, fields: dict[str, str], status: int) -> None:
    person = officer(console)
    sent = {"parent": active(person), "file": "catalog.csv", "text": file(console, "catalog.csv"), **fields}
    answer = person.post(f"/console/policy/edit{PATH}", **sent)
    assert answer.status_code == status, answer.text
    if status == 200:
        assert answer.json()["left_out"] >= 0


def test_only_authors_get_completions(console: Server) -> None:
    reader = officer(console, "policies:read")
    assert reader.post(f"/console/policy/edit{PATH}", line="1", column="1").status_code == 403
