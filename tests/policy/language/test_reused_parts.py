"""A policy that is parsed with the one before it, from which it takes what did not change, is the same as without."""

from __future__ import annotations

import pytest

from app.policy.language.diff import changes
from app.policy.language.fault import PolicyRefused
from app.policy.language.load import Policy, parse
from app.policy.language.openapi.budget import MAX_STEPS
from app.policy.language.source import from_bytes
from app.policy.language.upstreams import Upstream, load
from tests.policy.documents import document
from tests.policy.shipped import policy_of, shipped_files
from tests.policy.small import files as small_files

ROW = b"p, catalog:read, /api/v1/teams/**, GET|HEAD, deny\n# end\n"
CASES = b"cases:\n  - as: auth:jwt catalog:read\n    allow:\n      - GET /api/v1/teams: new.csv\n"


def outcome(files: dict[str, bytes], before: Policy | None) -> object:
    """Everything that comes from the files, or the faults."""
    try:
        policy = parse(from_bytes(files), before)
    except PolicyRefused as refused:
        return refused.faults
    return policy.rules, policy.memberships, policy.roles, policy.cases, policy.catalog, policy.revision


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"catalog.csv": ROW},
        {"new.csv": ROW},
        {"roles.csv": None},
        {"new.csv": ROW, "tests/new.yaml": CASES},
        {"tests/catalog.yaml": None},
        {"tests/catalog.yaml": CASES.replace(b"new", b"catalog")},
        {"permissions.toml": shipped_files()["permissions.toml"].replace(b'"catalog:write"', b'"catalog:change"')},
        {"permissions.toml": shipped_files()["permissions.toml"].replace(b"Look at", b"See")},
    ],
    ids=str,
)
def test_files_that_did_not_change_are_taken_from_the_policy_before(changed: dict[str, bytes | None]) -> None:
    files = {name: data for name, data in {**shipped_files(), **changed}.items() if data is not None}
    assert outcome(files, policy_of(shipped_files())) == outcome(files, None)


def test_cases_are_read_again_when_a_file_that_they_name_is_gone() -> None:
    before = policy_of({**shipped_files(), "new.csv": ROW, "tests/new.yaml": CASES})
    files = {**shipped_files(), "tests/new.yaml": CASES}
    assert outcome(files, before) == outcome(files, None)
    assert "there is no file `new.csv`" in str(outcome(files, before))


def test_rows_of_a_file_that_did_not_change_are_not_parsed_again() -> None:
    before = policy_of(shipped_files())
    after = parse(from_bytes({**shipped_files(), "new.csv": ROW}), before)
    assert all(any(rule is other for other in before.rules) for rule in after.rules if rule.file != "new.csv")
    assert len(after.rules) == len(before.rules) + 1


@pytest.mark.parametrize("gone", [None, "entities/one.yaml", "entities/two.yaml"])
def test_entities_are_taken_over_only_while_no_file_of_them_changes(gone: str | None) -> None:
    made = small_files("p, a:read, record, read, allow")
    for name in ("one", "two"):
        made[f"entities/{name}.yaml"] = f"resources:\n  - {{type: record, id: {name}}}\n# end\n".encode()
    before = parse(from_bytes(made))
    after = parse(from_bytes({name: data for name, data in made.items() if name != gone}), before)
    assert (after.entities is before.entities) is (gone is None)
    assert len(after.entities.resources) == (2 if gone is None else 1)


@pytest.mark.parametrize("fragment", [None, b"get: [\n"], ids=["missing", "unreadable"])
def test_a_document_is_read_again_when_a_file_that_it_refers_to_becomes_readable(fragment: bytes | None) -> None:
    name = "upstreams/parts/pets.yaml"
    of_document = document("  /pets: {$ref: ./parts/pets.yaml}\n  /toys: {get: {}}").encode()
    files = {**shipped_files(), "upstreams/o.openapi.yaml": of_document}
    before = policy_of({**files, **({} if fragment is None else {name: fragment})})
    assert before.services[0].closed == ("o:/pets",)
    after = parse(from_bytes({**files, name: b"get: {}\n"}), before)
    assert after.services == policy_of({**files, name: b"get: {}\n"}).services
    assert not after.services[0].closed
    # What the document itself has did not change.
    assert [(change.kind, change.row) for change in changes(before, after)] == [("added", "endpoint GET o:/pets")]


def test_reused_documents_count_for_the_steps_of_all() -> None:
    """A reload accepts no documents that a start would refuse."""
    files = {f"upstreams/{name}.openapi.yaml": document("  /pets: {get: {}}").encode() for name in "bcde"}
    known = [Upstream(name[10], name, steps=MAX_STEPS) for name in files]
    before = from_bytes({**shipped_files(), **files}).files
    source = from_bytes({**shipped_files(), **files, "upstreams/a.openapi.yaml": files["upstreams/b.openapi.yaml"]})
    found = load(source, [], before, known)
    assert [each in known for each in found] == [False, True, True, True, False]
