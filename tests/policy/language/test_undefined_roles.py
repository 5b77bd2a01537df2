"""A role that rows give but none uses is refused, since it is probably misspelled."""

from __future__ import annotations

import pytest

from app.policy.engine.live import build
from app.policy.language.fault import Fault, PolicyRefused
from app.policy.language.load import parse
from app.policy.language.source import from_bytes
from tests.policy.small import TABLE, files

RULED = (
    "p, a:read, /x/**, GET, allow",
    "p, a:write, /x, POST, allow",
    "p, b:read, /y, GET, allow",
    "g, role:editor, a:write",
)


def faults(*rows: str) -> list[Fault]:
    try:
        build(parse(from_bytes(files(*RULED, *rows))), TABLE)
    except PolicyRefused as refused:
        return list(refused.faults)
    return []


@pytest.mark.parametrize(
    "row",
    [
        "g, user:bob, role:edtor",
        "g, user:bob,role:editors",
        "g, key:7, role:edtor",
        "g, auth:jwt, role:edtor",
        "g, a:read, role:edtor",
        "g, role:editor, role:edtor",
    ],
)
def test_an_undefined_role_is_a_fault_at_its_row(row: str) -> None:
    (fault,) = faults(row)
    assert (fault.code, fault.file, fault.line) == ("unknown-role", "rows.csv", len(RULED) + 1)
    assert fault.text[fault.column - 1 :][: fault.length] == row.rpartition(",")[2].strip()
    if "role:editor," not in row:
        assert fault.hint == "did you mean `role:editor`?"


def test_each_row_with_an_undefined_role_is_named_with_a_hint() -> None:
    found = faults("g, user:bob, role:zebra", "g, user:ann, role:zebra")
    assert [fault.line for fault in found] == [len(RULED) + 1, len(RULED) + 2]
    assert all("`g, role:zebra, catalog:read`" in fault.hint and "delete" in fault.hint for fault in found)


@pytest.mark.parametrize(
    "rows",
    [
        ("g, user:bob, role:editor",),
        ("g, user:bob, role:lead", "g, role:lead, role:editor"),
        ("g, user:bob, role:banned", "p, role:banned, /x/**, GET, deny"),
        ("g, user:bob, role:pair", "p, a:read role:pair, /y, GET, allow"),
        ("g, user:bob, role:beta", "p, a:read, /y, GET, allow, \"'role:beta' in subject.permissions\""),
        ("g, role:unheld, a:read",),
    ],
)
def test_a_role_that_a_row_uses_is_defined(rows: tuple[str, ...]) -> None:
    assert faults(*rows) == []


def test_a_row_that_needs_an_unreachable_role_is_a_fault() -> None:
    found = faults("p, role:banned, /x/**, GET, deny", "g, user:bob, role:baned")
    assert [(fault.code, fault.hint) for fault in found] == [
        ("unknown-role", "did you mean `role:baned`?"),
        ("unknown-role", "did you mean `role:banned`?"),
    ]
