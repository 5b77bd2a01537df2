"""The fast reader of entities: it agrees with a YAML parser, and leaves other forms to that.

Each run compares other examples.
"""

from __future__ import annotations

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.policy.language import entities
from app.policy.language.entities import Entities, load
from app.policy.language.entity_lines import read_lists
from app.policy.language.fault import Fault, PolicyRefused
from app.policy.language.load import parse
from app.policy.language.source import PolicySource, from_bytes
from app.policy.language.yaml_document import MAX_CHARACTERS, Entries, ListNode, plain, read_document
from tests.policy.shipped import policy_of, shipped_files

# Pieces with a meaning in YAML, and plain ones.
_PIECES = st.sampled_from(
    [
        *(
            "subjects:",
            "resources:",
            "- ",
            "  - ",
            "\n",
            "\n",
            "\n  ",
            "\n    ",
            "\n      ",
            " ",
            ": ",
            ":",
            ", ",
            ",",
            "{",
            "}",
        ),
        *(
            "[",
            "]",
            "type: record",
            "id: a",
            "properties:",
            "properties: {",
            "status: active",
            "tags:",
            "a",
            "7",
            "-5",
            "2.50",
        ),
        *(
            "007",
            "true",
            "yes",
            "null",
            "~",
            "'it''s'",
            '"a b"',
            '"a\\n"',
            "# end",
            " # note",
            "&a ",
            "*a",
            "!x ",
            "---",
            "a b",
        ),
        *(
            "a:b",
            "a:",
            ":b",
            "190:20:30",
            "http://x/y",
            "2024-01-01",
            "|",
            ">",
            "é",
            "\t",
            "%",
            "@a",
            "<<: ",
            "? ",
            "- - a",
            "{type: user, id: u, properties: {a: [b, 1]}}",
        ),
    ]
)
_texts = st.lists(_PIECES, max_size=25).map("".join)

_scalars = st.one_of(
    st.integers(-(10**6), 10**6),
    st.booleans(),
    st.none(),
    st.sampled_from(
        ["active", "a b", "yes", "7", "2.5", "2024-01-01", "x: y", "#x", "", " a", "it's", "a,b", "Müller", "-", "~"]
    ),
    st.text("ab1 .:-#'\"", max_size=6),
)
_properties = st.dictionaries(
    st.sampled_from(["a", "b", "on", "tags"]), st.one_of(_scalars, st.lists(_scalars, max_size=3))
)
_ids = st.text("abc-1", min_size=1, max_size=4)
_entities = st.lists(
    st.fixed_dictionaries(
        {"type": st.just("record"), "id": _ids},
        optional={"properties": _properties},
    ),
    min_size=1,
    max_size=4,
)


def _by_yaml(text: str) -> dict[str, list[tuple[int, object]]] | None:
    """The lists of a file by the strict parser; None if it refuses the text."""
    faults: list[Fault] = []
    root = read_document("x.yaml", text, faults)
    if faults or not isinstance(root, Entries):
        return None
    found: dict[str, list[tuple[int, object]]] = {}
    for key, value in root.entries:
        if not isinstance(value, ListNode):
            return None
        found[str(key.value)] = [(item.line, plain(item)) for item in value.items]
    return found


def _agrees(text: str) -> bool:
    """Whether a text was read; compares the results."""
    lists = read_lists(text)
    if lists is None:
        return False
    assert repr(lists) == repr(_by_yaml(text))  # 1 is not true
    return True


@settings(max_examples=500, deadline=None)
@given(_texts)
@example(
    "resources:\n- type: record\n  id: a\n  properties:\n    tags:\n    - a\n    - b\n    x: 1\n- {type: a, id: b}\n"
)
@example("resources:\n  - type: a\n    id: b\n      c: d\n")
@example("resources:\n  - {type: a, id: b, properties: {a:b}}\n")
@example("resources:\n  - {type: a, id: b, properties: {a: b,}}\n")
@example("resources:\n  - {type: a, id: [b, c]}\nresources:\n  - {type: a, id: d}\n")
@example("resources:\n  - type: a\n    id: b\n    properties:\n\n    # note\n      x: y\n# end\n")
@example("resources:\n  - type: a\n    properties:\n      x: y\n    id: b\n      z: 1\n")
@example("resources:\n  - {type: a, id: b}\n   - {type: a, id: c}\n")
@example("resources:\n- a: 'x''y'\n- a: 'x'\n- a: \"x\\\"\"\n")
def test_the_fast_reader_agrees_with_yaml(text: str) -> None:
    _agrees(text)
    _agrees(f"resources:\n{text}")


@settings(max_examples=150, deadline=None)
@given(_entities, st.booleans(), st.sampled_from([None, True, False]))
def test_generated_files_are_read_as_by_yaml(
    entities: list[dict[str, object]], unicode: bool, flow: bool | None
) -> None:
    text = yaml.safe_dump({"resources": entities}, allow_unicode=unicode, default_flow_style=flow, width=10**6)
    _agrees(text)


USUAL = (
    "resources:\n  - {type: record, id: a, properties: {status: active, n: 7, tags: [a, b], m: {x: true}}}\n# end\n",
    "# note\nsubjects:\n- id: u\n  type: user\n  properties: {permissions: [catalog:read, 'a:b'], url: http://x/y}\n"
    "resources:\n- type: record\n  id: 'a'\n  properties:\n    a: 1\n"
    "    b:\n    - x\n    - y z\n    c: -5\n- type: record\n  id: b\n# end\n",
    'resources:\n  - type: record\n    id: "a b"\n    properties: {x: null}\n\n  - type: record\n    id: é\n',
)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(USUAL), st.integers(0, 200), st.integers(0, 3), st.lists(_PIECES, max_size=2).map("".join))
def test_a_slightly_changed_file_is_read_as_by_yaml(text: str, at: int, cut: int, new: str) -> None:
    _agrees(text[:at] + new + text[at + cut :])


@pytest.mark.parametrize("text", USUAL)
def test_usual_forms_are_read_fast(text: str) -> None:
    assert _agrees(text)


def _load(
    files: dict[str, str], before: dict[str, str] | None = None, known: Entities | None = None
) -> tuple[Entities, list[Fault]]:
    faults: list[Fault] = []
    if before is None or known is None:
        return load(PolicySource(files, "r"), {"catalog:read"}, faults), faults
    return load(PolicySource(files, "r"), {"catalog:read"}, faults, before, known), faults


ONE = "resources:\n  - {type: record, id: a}\n  - {type: record, id: b, properties: {n: 1}}\n"
TWO = (
    "subjects:\n  - {type: user, id: u, properties: {permissions: [catalog:read]}}\n"
    "resources:\n  - {type: record, id: c}\n"
)


@pytest.mark.parametrize(
    "after",
    [
        {"entities/one.yaml": ONE, "entities/two.yaml": TWO},
        {"entities/one.yaml": ONE, "entities/two.yaml": TWO, "x.csv": "# end\n"},
        {"entities/one.yaml": ONE.replace("n: 1", "n: true"), "entities/two.yaml": TWO},
        {"entities/two.yaml": TWO},
        {"entities/one.yaml": ONE, "entities/three.yaml": TWO},
        {"entities/one.yaml": ONE, "entities/zzz.yaml": ONE},
        {"entities/aaa.yaml": ONE, "entities/one.yaml": ONE},
        {"entities/one.yaml": "resources: [{type: record, id: c}]\n", "entities/two.yaml": TWO},
        {},
    ],
)
def test_reused_entities_equal_those_of_the_files(after: dict[str, str]) -> None:
    before = {"entities/one.yaml": ONE, "entities/two.yaml": TWO}
    known, faults = _load(before)
    assert not faults
    fresh, taken = _load(after), _load(after, before, known)
    assert list(taken[0].subjects.items()) == list(fresh[0].subjects.items())
    assert list(taken[0].resources.items()) == list(fresh[0].resources.items())
    assert repr(taken) == repr(fresh)


@pytest.mark.parametrize("permissions", ["7", "true", "{catalog:read: true}", "[[catalog:read]]", "null"])
def test_permissions_in_a_plain_form_that_are_neither_a_text_nor_a_list_of_texts_are_a_fault(permissions: str) -> None:
    text = f"subjects:\n  - {{type: user, id: u, properties: {{permissions: {permissions}}}}}\n"
    assert read_lists(text)
    _, faults = _load({"entities/one.yaml": text})
    assert {fault.code for fault in faults} == {"wrong-type"}


def test_a_permission_removed_from_the_catalogue_is_a_fault_of_unchanged_entities() -> None:
    entities = "subjects:\n  - {type: user, id: u, properties: {permissions: [old:read]}}\n# end\n"
    catalogue = shipped_files()["permissions.toml"].decode()
    entry = '\n["old:read"]\ntitle = "Old"\ngrants = "nothing"\ndeprecated = true\n'
    with_old = catalogue.removesuffix("# end\n") + entry + "# end\n"
    files = {**shipped_files(), "entities/e.yaml": entities.encode()}
    before = policy_of({**files, "permissions.toml": with_old.encode()})
    with pytest.raises(PolicyRefused, match="old:read"):
        parse(from_bytes(files), before)


HEAD = "resources:\n"
ITEM = f"{HEAD}  - type: a\n    id: b\n"
BELOW = f"{ITEM}    properties:\n"


@pytest.mark.parametrize(
    "text",
    [
        f"{BELOW}      x: 1\n       y: 2\n",
        f"{BELOW}      x: 1\n     y: 2\n",
        f"{BELOW}    x: 1\n      y: 2\n",
        f"{BELOW}   x: 1\n",
        f"{BELOW}      x: 1\n      x: 2\n",
        f"{BELOW}      x:\n",
        f"{BELOW}      x:\n      y: 1\n",
        f"{BELOW}      x:\n        - 1\n         - 2\n",
        f"{BELOW}      x:\n        - 1\n       - 2\n",
        f"{BELOW}      x:\n        - [1]\n",
        f"{BELOW}      x:\n        y: 1\n",
        BELOW,
        f"{BELOW}    id: c\n",
        f"{ITEM}    id: c\n",
        f"{ITEM}     x: 1\n",
        f"{ITEM}   x: 1\n",
        f"{ITEM}    x:\n",
        f"{ITEM}   - type: c\n",
        f"{ITEM} - type: c\n",
        f"{ITEM}{HEAD}  - type: c\n",
        f"{ITEM}subjects:\n",
        f"subjects:\n{ITEM}",
        f"{HEAD}  -  type: c\n",
        f"{HEAD}  - - type\n",
        f"{HEAD}  - c\n",
        f"{HEAD}  - [c]\n",
        f"{HEAD}  - {{type: a, type: b}}\n",
        f"{HEAD}  - {{type: {{a: {{b: {{c: {{d: {{e: {{f: 1}}}}}}}}}}}}}}\n",
        f"{HEAD}  type: c\n",
        "  - type: c\n",
        "type: c\n",
        "people:\n  - type: c\n",
        f" {HEAD}  - type: c\n",
        f"{HEAD}  - type: 007\n",
        f"{HEAD}  - yes: a\n",
        "",
        "# end\n",
        HEAD,
    ],
)
def test_other_forms_are_left_to_yaml(text: str) -> None:
    assert read_lists(text) is None


def test_plain_forms_are_read_with_their_lines() -> None:
    text = (
        f"# note\n\n{BELOW}      x: 1\n      y:\n        - 2\n        - c d\n      z: {{k: [3, '4']}}\n"
        "  # more\n  - {type: c}\n  - id: d\n    properties: {}\nsubjects:\n- type: e\n  id: f\n"
    )
    assert read_lists(text) == {
        "resources": [
            (4, {"type": "a", "id": "b", "properties": {"x": 1, "y": [2, "c d"], "z": {"k": [3, "4"]}}}),
            (13, {"type": "c"}),
            (14, {"id": "d", "properties": {}}),
        ],
        "subjects": [(17, {"type": "e", "id": "f"})],
    }


@pytest.mark.parametrize("over", [0, 1])
def test_a_file_that_is_too_long_is_left_to_yaml_which_refuses_it(over: int) -> None:
    text = f"{ITEM}#"
    assert (read_lists(text + "x" * (MAX_CHARACTERS - len(text) + over)) is None) is bool(over)


def test_entities_in_a_plain_form_are_not_read_as_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("read as YAML")

    monkeypatch.setattr(entities, "read_document", never)
    found, faults = _load({"entities/one.yaml": ONE, "entities/two.yaml": TWO})
    assert (len(found.resources), len(found.subjects), faults) == (3, 1, [])
