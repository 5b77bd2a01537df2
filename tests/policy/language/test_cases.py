"""Test cases: their files, faults with places, and results."""

from __future__ import annotations

import pytest

from app.policy.analysis.case_runner import Outcome, passes, run
from app.policy.language.cases import Case
from app.policy.language.fault import Fault, PolicyRefused
from app.policy.language.grants import known_roles
from app.policy.language.load import parse
from app.policy.language.source import from_bytes
from app.policy.language.yaml_document import MAX_CHARACTERS, MAX_FAULTS
from tests.policy.conftest import Said
from tests.policy.shipped import shipped_files, snapshot_of

MARK = "‸"
FILE = "tests/own.yaml"


def _files(text: str) -> dict[str, bytes]:
    shipped = {name: data for name, data in shipped_files().items() if not name.startswith("tests/")}
    return {**shipped, FILE: (text + "\n# end\n").encode()}


def _cases(text: str) -> tuple[Case, ...]:
    return parse(from_bytes(_files(text))).cases


def _faults(text: str) -> tuple[Fault, ...]:
    with pytest.raises(PolicyRefused) as refused:
        _cases(text)
    return refused.value.faults


def _outcome(text: str) -> Outcome:
    files = _files(text)
    (outcome,) = run(snapshot_of(files), parse(from_bytes(files)).cases)
    return outcome


def test_grants_and_endpoints_make_a_table() -> None:
    cases = _cases(
        "cases:\n"
        "  - name: A table\n"
        "    as: [auth:jwt catalog:read, role:viewer]\n"
        "    allow:\n"
        "      - GET|HEAD /api/v1/teams/7\n"
        "    deny: POST /api/v1/teams"
    )
    assert [(" ".join(sorted(c.held)), c.action, c.resource, c.allowed, c.line) for c in cases] == [
        ("auth:jwt catalog:read", "GET", "/api/v1/teams/7", True, 5),
        ("role:viewer", "GET", "/api/v1/teams/7", True, 5),
        ("auth:jwt catalog:read", "HEAD", "/api/v1/teams/7", True, 5),
        ("role:viewer", "HEAD", "/api/v1/teams/7", True, 5),
        ("auth:jwt catalog:read", "POST", "/api/v1/teams", False, 6),
        ("role:viewer", "POST", "/api/v1/teams", False, 6),
    ]
    assert {case.name for case in cases} == {"A table"}


ONE = "cases:\n  - as: auth:jwt catalog:read\n    "


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("wrong-type", "‸"),
        ("wrong-type", "‸- as: auth:jwt"),
        ("wrong-type", "cases: ‸[]"),
        ("wrong-type", "cases: ‸7"),
        ("unknown-key", "‸casse:\n  - as: auth:jwt"),
        ("unknown-key", ONE + "‸alow: GET /api/v1/teams"),
        ("missing-key", "cases:\n  - ‸allow: GET /api/v1/teams"),
        ("missing-key", "cases:\n  - ‸as: auth:jwt"),
        ("wrong-type", "cases:\n  - as: ‸7\n    allow: GET /api/v1/teams"),
        ("wrong-type", "cases:\n  - as: ‸[]\n    allow: GET /api/v1/teams"),
        ("wrong-type", 'cases:\n  - as: ‸"auth:jwt  catalog:read"\n    allow: GET /api/v1/teams'),
        ("wrong-type", ONE + "allow: [‸true]"),
        ("wrong-type", ONE + "allow:‸ "),
        ("unknown-grant", "cases:\n  - as: auth:jwt ‸catalog:raed\n    allow: GET /api/v1/teams"),
        ("unknown-grant", "cases:\n  - as: ‸catalog:*\n    deny: GET /api/v1/teams"),
        ("endpoint", ONE + "allow: ‸GTE /api/v1/teams"),
        ("endpoint", ONE + "allow: ‸GET  /api/v1/teams"),
        ("endpoint", ONE + "allow: ‸/api/v1/teams"),
        ("endpoint", ONE + "allow: GET ‸/api/v1/teams?x=1"),
        ("endpoint", ONE + "allow: GET ‸/api/v1/%74eams"),
        ("endpoint", ONE + "allow: GET ‸/api/v1/../teams"),
        ("why", ONE + "allow:\n      - GET /api/v1/teams: ‸catalgo.csv"),
        ("why", ONE + "allow:\n      - GET /api/v1/teams: ‸lacks catalog:write"),
        ("why", ONE + "deny:\n      - POST /api/v1/teams: lacks ‸catalog:wriet"),
        ("why", ONE + "deny:\n      - POST /api/v1/teams: ‸a rule allows it"),
        ("unknown-key", ONE + "allow: GET /api/v1/teams\n    given: {‸requset: {ip: 10.0.0.1}}"),
        ("unknown-key", ONE + "allow: GET /api/v1/teams\n    given: {request: {‸pi: 10.0.0.1}}"),
        ("wrong-type", ONE + "allow: GET /api/v1/teams\n    given: {request: {ip: ‸7}}"),
        ("wrong-type", ONE + 'allow: GET /api/v1/teams\n    given: {request: {time: ‸"2026-11-24T08:00:00"}}'),
        ("duplicate-key", ONE + "allow: GET /api/v1/teams\n    ‸allow: GET /api/v1/games"),
        ("yaml", "cases: ‸&all\n  - as: auth:jwt"),
        ("yaml", "cases: ‸*all"),
        ("yaml", "cases: ‸!!seq []"),
        ("yaml", "cases: ‸yes"),
        ("yaml", "cases: ‸1:30"),
        ("yaml", "‸<<: {cases: []}"),
        ("yaml", ONE + "allow: GET /x\n‸---\ncases: []"),
        ("yaml", "cases:\n‸\t- as: auth:jwt"),
        ("yaml", "x: " + "[" * 11 + "‸" + "[" * 3000),
    ],
)
def test_a_malformed_file_is_refused_at_its_place(code: str, text: str, said: Said) -> None:
    before, mark, after = text.partition(MARK)
    assert mark
    faults = _faults(before + after)
    said(faults)
    fault = faults[0]
    assert (fault.code, fault.file) == (code, FILE)
    assert (fault.line, fault.column) == (before.count("\n") + 1, len(before) - before.rfind("\n"))


def test_a_misspelled_key_is_one_fault() -> None:
    assert [fault.code for fault in _faults(ONE + "alow: GET /api/v1/teams")] == ["unknown-key"]


def test_hints_name_the_nearest_word() -> None:
    faults = _faults("cases:\n  - as: catalog:raed\n    alow: GTE /api/v1/teams\n    allow: GTE /api/v1/teams")
    assert {fault.hint for fault in faults} == {
        "did you mean `catalog:read`? If not, add it to permissions.toml",
        "did you mean `allow`?",
        "did you mean `GET`?",
    }


def test_a_huge_file_and_a_flood_of_faults_are_bounded() -> None:
    huge = _faults("# " + "x" * 3000 + ("\n# " + "x" * 3000) * (MAX_CHARACTERS // 3000))[0]
    assert (huge.code, huge.line, huge.column) == ("yaml", 0, 0)
    flood = _faults("cases:\n" + "  - as: unknown\n    allow: GET /x\n" * 1000)
    assert len(flood) <= MAX_FAULTS
    assert any(fault.code == "too-many-faults" for fault in flood)


def test_faults_of_several_cases_are_reported_together() -> None:
    faults = _faults("cases:\n  - as: a:b\n    allow: GET /x\n  - as: c:d\n    allow: GET /x")
    assert [fault.line for fault in faults] == [2, 4]


@pytest.mark.parametrize(
    "text",
    [
        ONE + "allow: GET /api/v1/teams",
        ONE + "allow:\n      - GET /api/v1/teams: catalog.csv",
        ONE + "allow:\n      - GET /api/v1/teams: a rule allows it",
        ONE + "deny:\n      - POST /api/v1/teams: lacks catalog:write",
        ONE + "deny:\n      - POST /api/v1/teams: missing grants",
        "cases:\n  - as: auth:anonymous\n    allow:\n      - OPTIONS /api/v1/teams/: public.csv",
        "cases:\n  - as: role:editor\n    allow: POST /api/v1/teams",
    ],
)
def test_a_case_passes_when_verdict_and_reason_are_as_expected(text: str) -> None:
    assert _outcome(text).passed


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (ONE + "deny: GET /api/v1/teams", "expected deny, got allow"),
        (ONE + "allow: POST /api/v1/teams", "expected allow, got deny"),
        (ONE + "allow:\n      - GET /api/v1/teams: public.csv", "expected `public.csv`, got `catalog.csv:7`"),
        (ONE + "allow:\n      - GET /api/v1/teams: catalog.csv:8", "expected `catalog.csv:8`, got `catalog.csv:7`"),
        (
            ONE + "deny:\n      - POST /api/v1/teams: lacks holdings:write",
            "expected `lacks holdings:write`, got `lacks catalog:write`",
        ),
        (ONE + "deny: GET /api/v1/nothing", "no route matches `/api/v1/nothing`"),
        (ONE + "deny: WEBSOCKET /api/v1/teams", "`/api/v1/teams` has no method WEBSOCKET"),
        ("cases:\n  - as: role:editr\n    deny: POST /api/v1/teams", "no `g` row defines `role:editr`"),
    ],
)
def test_a_failing_case_shows_expected_and_actual_results(text: str, problem: str) -> None:
    outcome = _outcome(text)
    assert not outcome.passed
    assert outcome.problem == problem


def test_a_failing_case_does_not_refuse_the_policy() -> None:
    assert snapshot_of(_files(ONE + "deny: GET /api/v1/teams")).policy.cases


def test_a_condition_is_tested_with_given_variables() -> None:
    condition = "request.time > timestamp('2026-01-01T00:00:00Z')"
    row = f'p, catalog:read, /api/v1/teams/{{id}}, DELETE, allow, "{condition}"\n# end\n'
    for given, is_met in (('"2026-06-01T00:00:00Z"', True), ('"2025-06-01T00:00:00Z"', False)):
        files = _files(ONE + "allow: DELETE /api/v1/teams/7\n    given: {request: {time: " + given + "}}")
        files["catalog.csv"] = files["catalog.csv"].removesuffix(b"# end\n") + row.encode()
        (outcome,) = run(snapshot_of(files), parse(from_bytes(files)).cases)
        assert outcome.passed is is_met


TABLE = """\
cases:
  - name: Teams
    as:
      stranger: auth:anonymous
      reader: auth:jwt catalog:read
    table:
      - GET|HEAD /api/v1/teams/7: deny | allow (catalog.csv)
      - POST /api/v1/teams: "- | deny (lacks catalog:write)\""""


def test_a_table_has_a_verdict_for_each_caller_and_endpoint() -> None:
    cases = _cases(TABLE)
    assert [(case.name, case.action, case.allowed, case.why.text if case.why else "", case.line) for case in cases] == [
        ("Teams (stranger)", "GET", False, "", 7),
        ("Teams (reader)", "GET", True, "catalog.csv", 7),
        ("Teams (stranger)", "HEAD", False, "", 7),
        ("Teams (reader)", "HEAD", True, "catalog.csv", 7),
        ("Teams (reader)", "POST", False, "lacks catalog:write", 8),
    ]
    files = _files(TABLE)
    assert all(outcome.passed for outcome in run(snapshot_of(files), cases))


@pytest.mark.parametrize(
    ("code", "old", "new"),
    [
        ("table", "deny | allow (catalog.csv)", "‸deny"),
        ("table", "deny | allow (catalog.csv)", "‸deny | allow | allow"),
        ("table", "deny | allow (catalog.csv)", "deny | ‸alow"),
        ("why", "allow (catalog.csv)", "allow (‸catalogue.csv)"),
        ("why", "allow (catalog.csv)", "allow (‸lacks catalog:write)"),
        ("wrong-type", "- GET|HEAD /api/v1/teams/7: deny | allow (catalog.csv)", "- ‸GET /api/v1/teams/7"),
        ("wrong-type", "reader: auth:jwt catalog:read", "reader: ‸[auth:jwt]"),
        ("unknown-grant", "catalog:read\n", "‸catalog:raed\n"),
        ("endpoint", "GET|HEAD /api", "GET|‸HAED /api"),
    ],
)
def test_a_fault_in_a_table_is_refused_at_its_place(code: str, old: str, new: str, said: Said) -> None:
    assert old in TABLE
    text = TABLE.replace(old, new, 1)
    before, _, _ = text.partition(MARK)
    (fault,) = faults = _faults(text.replace(MARK, ""))
    said(faults)
    assert fault.code == code
    assert (fault.line, fault.column) == (before.count("\n") + 1, len(before) - before.rfind("\n"))


ROW = "p, catalog:read, /api/v1/teams/**, GET|HEAD, allow"


def test_a_row_can_be_expected_by_its_text() -> None:
    for row in (ROW, "p, catalog:read, /api/v1/teams/**, HEAD|GET, allow", ROW.replace(", ", ",")):
        assert _outcome(ONE + f"allow:\n      - GET /api/v1/teams: {row}").passed
    other = _outcome(ONE + f"allow:\n      - GET /api/v1/teams: {ROW.replace('teams', 'games')}")
    assert other.problem == f"expected `{ROW.replace('teams', 'games')}`, got `{ROW}`"


@pytest.mark.parametrize("row", ["p, catalog:read, /api/v1/teams/**", ROW.replace("allow", "deny")])
def test_an_expected_row_that_cannot_decide_is_refused(row: str, said: Said) -> None:
    (fault,) = faults = _faults(ONE + f"allow:\n      - GET /api/v1/teams: {row}")
    assert fault.code == "why"
    said(faults)


def test_the_quick_check_agrees_with_running_all_cases() -> None:
    text = (
        "cases:\n"
        "  - as: [auth:jwt catalog:read, role:viewer, role:unknown]\n"
        "    allow:\n"
        "      - GET /api/v1/teams/7: catalog.csv\n"
        "      - GET /api/v1/teams/7: holdings.csv\n"
        "      - POST /api/v1/teams\n"
        "      - GET /api/v1/nowhere\n"
        "    deny:\n"
        "      - POST /api/v1/teams: lacks catalog:write\n"
        "      - POST /api/v1/teams: lacks catalog:read\n"
        "  - as: auth:jwt catalog:read\n"
        "    given: {request: {ip: 10.0.0.1}}\n"
        "    allow: GET /api/v1/venues\n"
        "    deny: GET /api/v1/venues/7"
    )
    files = _files(text)
    row = b"p, catalog:read, /api/v1/venues/**, GET|HEAD, allow"
    files["catalog.csv"] = files["catalog.csv"].replace(row, row + b", \"request.ip == '10.0.0.1'\"")
    snapshot = snapshot_of(files)
    cases = parse(from_bytes(files)).cases
    failed = [outcome for outcome in run(snapshot, cases) if not outcome.passed]
    roles = known_roles(snapshot.policy.memberships)
    assert [case for case in cases if not passes(snapshot, case, roles)] == [each.case for each in failed]
    assert len(cases) > len(failed) > 10


@pytest.mark.parametrize(
    ("name", "callers", "names"),
    [
        ("name: Teams\n    ", "{reader: catalog:read, writer: catalog:write}", ["Teams (reader)", "Teams (writer)"]),
        ("", "{reader: catalog:read, writer: catalog:write}", ["reader", "writer"]),
        ("name: Teams\n    ", "[catalog:read, catalog:write]", ["Teams", "Teams"]),
        ("", "[catalog:read, catalog:write]", ["", ""]),
    ],
)
def test_a_cell_of_a_table_is_named_by_its_case_and_its_caller(name: str, callers: str, names: list[str]) -> None:
    cases = _cases(f"cases:\n  - {name}as: {callers}\n    table:\n      - GET /api/v1/teams: allow | deny")
    assert [case.name for case in cases] == names
    assert [case.allowed for case in cases] == [True, False]


@pytest.mark.parametrize(
    "text", ["cases:\n  - as: auth:jwt\n    allow: ''", "cases:\n  - as: auth:jwt\n    deny: ['']"]
)
def test_an_empty_endpoint_has_one_fault(text: str, said: Said) -> None:
    said(_faults(text))


@pytest.mark.parametrize("over", [0, 1])
def test_the_number_of_cases_of_a_file_is_bounded(monkeypatch: pytest.MonkeyPatch, over: int) -> None:
    monkeypatch.setattr("app.policy.language.cases.MAX_CASES", 4 - over)
    text = "cases:\n  - as: [auth:jwt, catalog:read]\n    allow: GET|HEAD /api/v1/teams"
    if not over:
        assert len(_cases(text)) == 4
        return
    (fault,) = _faults(text)
    assert (fault.code, fault.line, fault.column) == ("too-many-cases", 2, 5)
    assert fault.message == "the file has more than 3 cases"
