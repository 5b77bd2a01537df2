"""Where rows are: the same four keys for rows, cases, entities and faults, and `file:line` in texts."""

from __future__ import annotations

import msgspec
import pytest

from app.policy.language.diff import changes
from app.policy.language.fault import Fault
from app.policy.language.fault_view import fault_view
from app.policy.language.row_view import RowView, place_of
from app.policy.language.rule import Membership, Rule
from app.policy.language.source import SHOWN
from tests.policy.shipped import policy_of, shipped_files


@pytest.mark.parametrize(
    ("row", "column", "text"),
    [
        ("p, catalog:read, record, read, allow", 1, "p, catalog:read, record, read, allow"),
        (
            "  p,catalog:write catalog:read ,record,read|list,deny",
            3,
            "p, catalog:read catalog:write, record, read|list, deny",
        ),
        ("\tg, user:bob, role:viewer", 2, "g, user:bob, role:viewer"),
        ('p, anyone, record, read, allow, "1 == 1 && ""a"" == ""a"""', 1, None),
    ],
)
def test_a_row_is_where_it_starts_and_without_its_formatting(row: str, column: int, text: str | None) -> None:
    policy = policy_of({**shipped_files(), "own.csv": f"# why\n{row}\n# end\n".encode()})
    rows: list[Rule | Membership] = [*policy.rules, *policy.memberships]
    (found,) = [each for each in rows if each.file == "own.csv"]
    assert found.view == RowView("own.csv", 2, column, text or row)
    assert found.view.place == found.place == "own.csv:2"


def test_entries_that_come_and_go_have_the_keys_of_rows() -> None:
    old = shipped_files()
    more = {
        "own.csv": b"p, catalog:read, record, read, allow\n# end\n",
        "tests/own.yaml": b"cases:\n  - as: auth:jwt\n    deny: GET /api/v1/teams/7\n# end\n",
        "entities/own.yaml": b"subjects:\n  - {type: user, id: a}\n# end\n",
        "permissions.toml": old["permissions.toml"].replace(b'title = "', b'title = "New: ', 1),
    }
    found = changes(policy_of(old), policy_of({**old, **more}))
    by_file = {change.file: msgspec.to_builtins(change) for change in found if change.kind == "added"}
    assert all(set(each) == {"file", "line", "column", "row", "kind"} for each in by_file.values())
    assert {file: (each["line"], each["column"]) for file, each in by_file.items()} == {
        "own.csv": (1, 1),
        "tests/own.yaml": (3, None),
        "entities/own.yaml": (2, None),
        "permissions.toml": (None, None),
    }


@pytest.mark.parametrize(
    ("fault", "line", "column", "place"),
    [
        (Fault("effect", "a.csv", 7, 30, "m", text="p, x"), 7, 30, "a.csv:7:30"),
        (Fault("missing-file", "a.csv", 0, 0, "m"), None, None, "a.csv"),
        (Fault("too-many-files", ".", 0, 0, "m"), None, None, "."),
    ],
)
def test_a_fault_of_a_whole_file_has_no_line(fault: Fault, line: int | None, column: int | None, place: str) -> None:
    found = fault_view(fault)
    assert (found.line, found.column, found.row) == (line, column, fault.text)
    assert place_of(found.file, found.line, found.column) == fault.place == place


def test_the_line_of_a_fault_is_bounded() -> None:
    assert len(fault_view(Fault("effect", "a.csv", 1, 1, "m", text="x" * 5_000)).row) == SHOWN
