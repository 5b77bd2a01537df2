"""Entities: attributes of subjects and resources, read strictly and part of the revision."""

from __future__ import annotations

import pytest

from app.policy.language.diff import changes
from app.policy.language.fault import PolicyRefused
from app.policy.language.load import Policy
from tests.policy.conftest import Said
from tests.policy.shipped import policy_of, shipped_files

GOOD = """\
subjects:
  - {type: user, id: user_2abc, properties: {role: admin, permissions: [catalog:read]}}
  - type: service
    id: "nightly import"
resources:
  - type: record
    id: record-1
    properties:
      status: active
      tags: [a, b]
      size: {width: 3, height: 2.5, known: true, nothing: null}
# end
"""


def _policy(text: str, name: str = "people.yaml") -> Policy:
    return policy_of({**shipped_files(), f"entities/{name}": text.encode()})


def test_entities_have_types_ids_and_attributes() -> None:
    known = _policy(GOOD).entities
    assert list(known.subjects) == [("user", "user_2abc"), ("service", "nightly import")]
    assert known.subjects["user", "user_2abc"].properties == {"role": "admin", "permissions": ["catalog:read"]}
    assert known.subjects["service", "nightly import"].properties == {}
    record = known.resources["record", "record-1"]
    assert record.place == "entities/people.yaml:6"
    assert record.properties == {
        "status": "active",
        "tags": ["a", "b"],
        "size": {"width": 3, "height": 2.5, "known": True, "nothing": None},
    }


def test_a_policy_without_entities_has_none() -> None:
    known = policy_of(shipped_files()).entities
    assert not known.subjects
    assert not known.resources


def test_entities_are_part_of_the_revision_and_of_what_changed() -> None:
    before, after = _policy(GOOD), _policy(GOOD.replace("active", "archived"))
    assert before.revision != after.revision
    assert [(change.kind, change.row[:25], change.place) for change in changes(before, after)] == [
        ("removed", "resource record record-1 ", "entities/people.yaml:6"),
        ("added", "resource record record-1 ", "entities/people.yaml:6"),
    ]


def _one(line: str, key: str = "resources") -> str:
    return f"{key}:\n  - {line}\n# end\n"


FAULTS: dict[str, tuple[str, str, int, int, str]] = {
    "empty": ("# end\n", "wrong-type", 1, 1, "the file has no entities"),
    "no mapping": ("[a]\n# end\n", "wrong-type", 1, 1, "a file of entities must be a mapping"),
    "unknown list": ("people: [a]\n# end\n", "unknown-key", 1, 1, "`people` is an unknown key in a file of entities"),
    "no list": ("subjects: {}\n# end\n", "wrong-type", 1, 11, "`subjects` must be a list"),
    "empty list": ("resources: []\n# end\n", "wrong-type", 1, 12, "`resources` must be a list"),
    "no entity": (_one("record-1"), "wrong-type", 2, 5, "an entity must be a mapping with type, id, properties"),
    "unknown key": (
        _one("{type: record, id: a, attributes: {}}"),
        "unknown-key",
        2,
        27,
        "`attributes` is an unknown key",
    ),
    "key twice": (_one("{type: record, id: a, id: b}"), "duplicate-key", 2, 27, "`id` is repeated"),
    "no type": (_one("{id: a}"), "missing-key", 2, 5, "the entity has no `type`"),
    "no id": (_one("{type: record}"), "missing-key", 2, 5, "the entity has no `id`"),
    "number as id": (_one("{type: record, id: 7}"), "wrong-type", 2, 24, "`id` must be a text"),
    "empty id": (_one("{type: record, id: ''}"), "wrong-type", 2, 24, "`id` must be a text"),
    "properties": (
        _one("{type: record, id: a, properties: [a]}"),
        "wrong-type",
        2,
        39,
        "`properties` must be a mapping",
    ),
    "twice": (_one("{type: record, id: a}\n  - {type: record, id: a}"), "duplicate-entity", 3, 5, "is defined twice"),
    "type with a colon": (_one("{type: 'record:x', id: '1'}"), "entity", 2, 12, "`record:x` is not a type"),
    "type as a path": (_one("{type: /api, id: '1'}"), "entity", 2, 12, "`/api` is not a type"),
    "a route": (_one("{type: route, id: /healthz}"), "entity", 2, 12, "routes come from the application"),
    "id as a path": (_one("{type: orders, id: /v1/orders}"), "entity", 2, 24, "not an id that a row can name"),
    "id with a space": (_one("{type: record, id: a b}"), "entity", 2, 24, "not an id that a row can name"),
    "identity": (_one("{type: identity, id: a}", "subjects"), "entity", 2, 12, "another word for `user`"),
    "user with a space": (_one("{type: user, id: a b}", "subjects"), "entity", 2, 22, "not a user id"),
    "unknown permission": (
        _one("{type: user, id: a, properties: {permissions: [catalog:read, catalog:raed]}}", "subjects"),
        "unknown-grant",
        2,
        66,
        "`catalog:raed` is not in the catalogue",
    ),
    "fact as permission": (
        _one("{type: user, id: a, properties: {permissions: catalog:read role:admin}}", "subjects"),
        "unknown-grant",
        2,
        64,
        "`role:admin` is not in the catalogue",
    ),
    "empty permission": (
        _one("{type: user, id: a, properties: {permissions: ''}}", "subjects"),
        "wrong-type",
        2,
        51,
        "`permissions` must be a text",
    ),
    "empty permission in a list": (
        _one("{type: user, id: a, properties: {permissions: [catalog:read, '']}}", "subjects"),
        "wrong-type",
        2,
        66,
        "`permissions` must be a text",
    ),
    "number as permission": (
        _one("{type: user, id: a, properties: {permissions: [catalog:read, 7]}}", "subjects"),
        "wrong-type",
        2,
        66,
        "`permissions` must be a text",
    ),
    "empty list of permissions": (
        _one("{type: user, id: a, properties: {permissions: []}}", "subjects"),
        "wrong-type",
        2,
        51,
        "`permissions` is an empty list",
    ),
    "not YAML": ("subjects: [\n# end\n", "yaml", 3, 1, "not YAML"),
    "anchor": (_one("&a {type: record, id: a}"), "yaml", 2, 5, "anchors and aliases are not supported"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_reported_at_its_place(name: str, said: Said) -> None:
    text, code, line, column, message = FAULTS[name]
    with pytest.raises(PolicyRefused) as refused:
        _policy(text)
    (fault,) = refused.value.faults
    assert (fault.code, fault.file, fault.line, fault.column) == (code, "entities/people.yaml", line, column)
    assert message in fault.message
    assert fault.hint or code in ("yaml",)
    said(refused.value.faults)


def test_an_entity_of_two_files_is_a_fault_that_names_the_first() -> None:
    files = {f"entities/{name}.yaml": _one("{type: record, id: a}").encode() for name in ("a", "b")}
    with pytest.raises(PolicyRefused) as refused:
        policy_of({**shipped_files(), **files})
    (fault,) = refused.value.faults
    assert fault.file == "entities/b.yaml"
    assert "first in entities/a.yaml:2" in fault.message


def test_other_files_in_the_folder_are_stray() -> None:
    with pytest.raises(PolicyRefused) as refused:
        _policy(GOOD, "people.yml")
    assert [fault.code for fault in refused.value.faults] == ["stray-file"]
