"""Candidates of a search: the subjects, resources and actions that a policy names."""

from __future__ import annotations

import pytest

from app.policy.engine.candidates import Candidates, names_after
from tests.policy.small import TABLE, snapshot

ENTITIES = """\
subjects:
  - {type: user, id: zoe}
  - {type: service, id: nightly}
resources:
  - {type: record, id: r2}"""
ROWS = (
    "p, a:read, /x, GET, allow",
    "p, user:ann a:read, record, read|list, allow",
    "p, key:7, record:r1, write, allow",
    "p, a:read, folder, open, deny",
    "g, user:bob, a:write",
    "g, role:one, a:write",
)


def candidates() -> Candidates:
    return Candidates(snapshot(*ROWS, entities=ENTITIES).policy, TABLE)


def test_subjects_are_entities_and_users_of_rows() -> None:
    found = candidates()
    assert list(found.subjects("user")) == ["ann", "bob", "zoe"]
    assert list(found.subjects("service")) == ["nightly"]
    assert [list(found.subjects(kind)) for kind in ("key", "role", "nothing")] == [[], [], []]


def test_resources_are_entities_resources_of_rows_and_templates() -> None:
    found = candidates()
    assert list(found.resources("record")) == ["r1", "r2"]
    assert list(found.resources("folder")) == []
    assert list(found.resources("route")) == sorted(TABLE.templates)


def test_actions_are_those_of_rows_for_a_resource_or_its_type() -> None:
    found = candidates()
    assert list(found.actions("record", "r1")) == ["list", "read", "write"]
    assert list(found.actions("record", "r9")) == ["list", "read"]
    assert list(found.actions("folder", "f")) == ["open"]
    assert list(found.actions("nothing", "n")) == []
    routes = list(found.actions("route", "/x"))
    assert routes == sorted(routes)
    assert {"GET", "POST", "TRACE", "WEBSOCKET"} < set(routes)


@pytest.mark.parametrize(
    ("after", "limit", "expected"),
    [("", 2, ["a", "c"]), ("a", 9, ["c", "e"]), ("b", 1, ["c"]), ("e", 2, []), ("c", 0, [])],
)
def test_a_page_starts_after_a_name(after: str, limit: int, expected: list[str]) -> None:
    assert list(names_after(["a", "c", "e"], after, limit)) == expected


def test_a_row_about_a_type_applies_once_to_the_type_and_to_each_named_thing() -> None:
    policy = snapshot(
        "p, a:read, record, read, allow", "p, a:read, record:one, read, deny", "p, b:read, folder, read, allow"
    )
    lines = {
        thing: [rule.line for rule in policy.rules_for(thing, "read")] for thing in ("record", "record:one", "folder")
    }
    assert lines == {"record": [1], "record:one": [1, 2], "folder": [3]}
