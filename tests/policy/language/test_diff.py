"""Changed files with their changed entries, without changes of format."""

from __future__ import annotations

import json

import pytest

from app.policy.language.diff import FORMATTING, EntryChange, FileChange, changes, file_changes
from tests.policy.shipped import policy_of, shipped_files

ORDERS = {"openapi": "3.1.0", "paths": {"/orders": {"get": {}, "post": {}}, "/orders/{id}": {"get": {}}}}
OWN = {
    "entities/own.yaml": b"subjects:\n  - {type: user, id: a, properties: {role: admin}}\n# end\n",
    "upstreams/orders.openapi.json": json.dumps(ORDERS).encode(),
    "orders.csv": b"p, catalog:read, orders:/orders/**, GET|POST, allow\n# end\n",
}
OLD = {**shipped_files(), **OWN}


def between(new: dict[str, bytes]) -> tuple[tuple[EntryChange, ...], tuple[FileChange, ...]]:
    before, after = policy_of(OLD), policy_of(new)
    entries = changes(before, after)
    return entries, file_changes(before, after, entries)


def edited(file: str, old: str, new: str) -> dict[str, bytes]:
    text = OLD[file].decode()
    assert old in text
    return {**OLD, file: text.replace(old, new).encode()}


@pytest.mark.parametrize(
    ("new", "told"),
    [
        (edited("tests/tokens.yaml", "introspects tokens, a", "introspects them, a"), "2 cases added, 2 cases removed"),
        (edited("tests/tokens.yaml", "lacks tokens:introspect", "lacks auth:x".replace("auth:x", "env:live")), None),
        ({name: text for name, text in OLD.items() if name != "tests/tokens.yaml"}, "17 cases removed"),
        (edited("orders.csv", "GET|POST", "GET"), "1 row added, 1 row removed"),
        (edited("roles.csv", "g, role:viewer, holdings:read\n", ""), "1 row removed"),
        (edited("entities/own.yaml", "role: admin", "role: viewer"), "1 entity added, 1 entity removed"),
        (
            edited("entities/own.yaml", "properties: {role: admin}", "properties: {}"),
            "1 entity added, 1 entity removed",
        ),
        (edited("permissions.toml", 'title = "', 'title = "New: '), None),
        (edited("upstreams/orders.openapi.json", '"post": {}', '"put": {}'), "1 endpoint added, 1 endpoint removed"),
        (edited("upstreams/orders.openapi.json", "/orders/{id}", "/orders/{order}"), None),
    ],
)
def test_changed_entries_of_a_file_are_counted(new: dict[str, bytes], told: str | None) -> None:
    entries, files = between(new)
    assert entries
    (file,) = files
    assert FORMATTING not in str(file)
    assert file.added + file.removed == len(entries)
    assert told is None or str(file).endswith(f": {told}")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("roles.csv", "# end", "# a comment\n# end"),
        ("model.conf", "[matchers]", "\n[matchers]"),
        ("permissions.toml", "\n[", "\n\n["),
        ("tests/tokens.yaml", "cases:", "# why\ncases:"),
        ("entities/own.yaml", "type: user, id: a", "id: a, type: user"),
        ("upstreams/orders.openapi.json", '"3.1.0"', '"3.1.1"'),
        ("orders.csv", "orders:/orders/**, GET|POST", "orders:/orders/**,  GET|POST"),
    ],
)
def test_another_format_is_no_change_of_entries(file: str, old: str, new: str) -> None:
    entries, files = between(edited(file, old, new))
    assert entries == ()
    assert [(each.name, str(each)) for each in files] == [(file, f"changed: {FORMATTING}")]


def test_changed_cases_follow_the_rows() -> None:
    new = edited("orders.csv", "GET|POST", "GET")
    new["tests/own.yaml"] = (
        b"cases:\n  - name: Orders\n    as: auth:jwt catalog:read\n    given: {request: {ip: 10.0.0.1}}\n"
        b"    deny:\n      - POST orders:/orders: lacks catalog:write\n# end\n"
    )
    entries, files = between(new)
    assert [entry.kind for entry in entries] == ["removed", "added", "added"]
    assert str(entries[-1]) == (
        "added case Orders: POST orders:/orders as auth:jwt catalog:read request.ip=10.0.0.1: "
        "deny (lacks catalog:write) (tests/own.yaml:6)"
    )
    assert [(each.name, each.status) for each in files] == [("orders.csv", "changed"), ("tests/own.yaml", "new")]


ROWS = b"p, catalog:read, /api/v1/venues/**, GET, deny\n"


@pytest.mark.parametrize(
    ("before", "after", "entries"),
    [
        (1, 3, ["added x.csv:1", "added x.csv:2"]),
        (3, 1, ["removed x.csv:1", "removed x.csv:2"]),
        (2, 2, []),
        (0, 1, ["added x.csv:1"]),
        (2, 0, ["removed x.csv:1", "removed x.csv:2"]),
    ],
)
def test_a_repeated_row_is_counted(before: int, after: int, entries: list[str]) -> None:
    old, new = (policy_of({**OLD, "x.csv": ROWS * times + b"# end\n"}) for times in (before, after))
    found = changes(old, new)
    assert [f"{change.kind} {change.place}" for change in found] == entries
    assert [str(change) for change in file_changes(old, new, found)] == (
        [f"changed: {len(entries)} {'row' if len(entries) == 1 else 'rows'} {entries[0].split()[0]}"] if entries else []
    )


def test_added_and_removed_entities_are_distinguished() -> None:
    text = OWN["entities/own.yaml"].decode()
    more = text.replace("# end", "  - {type: user, id: b}\nresources:\n  - {type: record, id: r}\n# end")
    small, large = policy_of(OLD), policy_of({**OLD, "entities/own.yaml": more.encode()})
    assert [(change.kind, change.row, change.place) for change in changes(small, large)] == [
        ("added", "subject user b {}", "entities/own.yaml:3"),
        ("added", "resource record r {}", "entities/own.yaml:5"),
    ]
    assert [(change.kind, change.row) for change in changes(large, small)] == [
        ("removed", "subject user b {}"),
        ("removed", "resource record r {}"),
    ]
