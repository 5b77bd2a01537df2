"""The results of the cases of a candidate, and removed cases of the previous policy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from app.cli.policy.cases_text import report_lines
from app.policy.analysis import case_watch
from app.policy.analysis.case_report import CaseProblem, CaseReport, run_cases
from app.policy.analysis.case_runner import outcome_of, passes
from app.policy.analysis.case_watch import CaseWatch
from app.policy.engine.live import LivePolicy
from app.policy.engine.snapshot import Snapshot
from app.policy.language.cases import Case
from app.policy.language.load import parse
from app.policy.language.source import from_bytes
from tests.policy.shipped import routes, shipped_files, snapshot_of, write
from tests.policy.small import TABLE, snapshot
from tests.policy.small import files as small_files

FILE = "tests/own.yaml"
READ = "  - as: auth:jwt catalog:read\n    allow:\n      - GET /api/v1/teams/7\n      - GET /api/v1/games\n"
WRITE = "  - as: auth:jwt catalog:read\n    deny:\n      - POST /api/v1/teams: lacks catalog:write\n"


def files(*cases: str, file: str = FILE, **more: str) -> dict[str, bytes]:
    shipped = {name: data for name, data in shipped_files().items() if not name.startswith("tests/")}
    added = {name.replace("__", "/") + ".yaml": f"cases:\n{text}# end\n".encode() for name, text in more.items()}
    text = f"cases:\n{''.join(cases)}# end\n"
    return {**shipped, **({file: text.encode()} if cases else {}), **added}


def report(new: Mapping[str, bytes], old: Mapping[str, bytes] | None = None) -> CaseReport:
    return run_cases(snapshot_of(new), parse(from_bytes(old)) if old else None)


def test_cases_that_pass_are_counted() -> None:
    found = report(files(READ, WRITE))
    assert (found.run, found.failed, found.removed, found.passed, found.summary) == (3, 0, 0, True, "")


def test_cases_that_fail_are_counted_and_named() -> None:
    wrong = WRITE.replace("deny", "allow").replace(": lacks catalog:write", "")
    found = report(files(READ, wrong))
    assert (found.run, found.failed, found.passed, found.summary) == (3, 1, False, "1 case fails")
    (failure,) = found.failures
    assert (failure.place, failure.problem) == (f"{FILE}:8", "expected allow, got deny")
    assert failure.row == "POST /api/v1/teams as auth:jwt catalog:read: allow"


def test_the_first_failing_cases_are_named_and_long_ones_are_cut() -> None:
    every = "".join(f"      - GET /api/v1/teams/{number}\n" for number in range(100))
    many = f"  - name: {'n' * 2_000}\n    as: auth:jwt holdings:read\n    allow:\n{every}"
    found = report(files(many))
    assert (found.failed, len(found.failures)) == (100, 20)
    assert all(len(failure.row) < 500 for failure in found.failures)


@pytest.mark.parametrize(
    "new",
    [
        files(WRITE, READ),
        files("  # why\n", READ, WRITE),
        files(READ.replace("as:", "name: Readers read\n    as:"), WRITE),
        files(READ.replace("auth:jwt catalog:read", "catalog:read auth:jwt"), WRITE),
        files(READ, WRITE, file="tests/other.yaml"),
        files(READ, tests__other=WRITE),
        files(READ, READ, WRITE),
        files(READ, WRITE.replace(": lacks catalog:write", "")),
        files(
            "  - as:\n      reader: auth:jwt catalog:read\n    table:\n      - GET /api/v1/teams/7: allow\n"
            "      - GET /api/v1/games: allow\n      - POST /api/v1/teams: deny\n"
        ),
    ],
)
def test_moved_renamed_and_reformatted_cases_are_not_removed(new: dict[str, bytes]) -> None:
    assert report(new, files(READ, WRITE)).removed == 0


@pytest.mark.parametrize(
    ("new", "removed"),
    [
        (files(), 3),
        (files(READ), 1),
        (files(WRITE), 2),
        (files(READ, WRITE.replace("catalog:read", "catalog:read env:test")), 1),
        (files(READ, WRITE.replace("auth:jwt", "auth:api_key env:live")), 1),
        (files(READ, WRITE.replace("teams", "games")), 1),
        (files(READ.replace("teams/7", "teams/8"), WRITE), 1),
        (files(READ, WRITE.replace("POST", "PUT").replace("teams", "teams/7")), 1),
        (files(READ, WRITE + "    given: {request: {ip: 10.0.0.1}}\n"), 1),
    ],
)
def test_a_case_without_its_question_is_removed(new: dict[str, bytes], removed: int) -> None:
    found = report(new, files(READ, WRITE))
    assert (found.removed, len(found.missing), found.passed) == (removed, removed, False)
    assert all(each.place.startswith(f"{FILE}:") for each in found.missing)


def test_the_first_removed_cases_are_named() -> None:
    every = "".join(f"      - GET /api/v1/teams/{number}\n" for number in range(21))
    found = report(files(WRITE), files(WRITE, f"  - as: auth:jwt catalog:read\n    allow:\n{every}"))
    assert (found.removed, len(found.missing)) == (21, 20)


def test_cases_that_differ_in_their_context_are_different_cases() -> None:
    inside, outside = (WRITE + f"    given: {{request: {{ip: {ip}}}}}\n" for ip in ("10.0.0.1", "192.0.2.1"))
    assert report(files(inside), files(inside, outside)).removed == 1
    assert report(files(outside, inside), files(inside, outside)).removed == 0


def test_cases_beyond_the_time_limit_do_not_pass() -> None:
    every = "".join(f"      - GET /api/v1/teams/{number}\n" for number in range(1_000))
    snapshot = snapshot_of(files(f"  - as: auth:jwt catalog:read\n    allow:\n{every}"))
    ticks = iter(range(100))
    found = run_cases(snapshot, seconds=2, clock=lambda: next(ticks))
    assert (found.run, found.failed, found.not_run, found.passed) == (256, 0, 744, False)
    assert found.summary == "744 cases could not be run in time"


def test_no_case_is_run_at_the_deadline() -> None:
    found = run_cases(snapshot_of(files(READ, WRITE)), seconds=0, clock=lambda: 7.0)
    assert (found.run, found.not_run, found.passed) == (0, 3, False)


def test_running_cases_does_not_touch_the_cache_of_the_snapshot() -> None:
    snapshot = snapshot_of(files(READ, WRITE))
    assert run_cases(snapshot).passed
    assert snapshot.misses == 0
    held = frozenset({"anyone", "auth:jwt", "catalog:read"})
    assert snapshot.decide(held, "/api/v1/teams/{id}", "GET")
    assert snapshot.misses == 1
    assert run_cases(snapshot).passed
    assert snapshot.misses == 1


@pytest.mark.anyio
async def test_a_watch_that_is_stopped_runs_no_more_cases(tmp_path: Path) -> None:
    live = LivePolicy(write(tmp_path, shipped_files()), routes())
    watch, stop = CaseWatch(live), asyncio.Event()
    stop.set()
    await asyncio.wait_for(watch.run(stop), 5)
    assert watch.report is None
    stop.clear()
    running = asyncio.create_task(watch.run(stop))
    while watch.report is None:
        await asyncio.sleep(0.01)
    assert watch.report.run > 1_000
    stop.set()
    await asyncio.wait_for(running, 5)


@pytest.mark.anyio
async def test_a_watch_that_is_stopped_cuts_its_run_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, loop, reports = asyncio.Event(), asyncio.get_running_loop(), list[CaseReport]()

    def run_at_shutdown(snapshot: Snapshot, *, clock: Callable[[], float]) -> CaseReport:
        asyncio.run_coroutine_threadsafe(_set(stop), loop).result()
        reports.append(run_cases(snapshot, clock=clock))
        return reports[-1]

    monkeypatch.setattr(case_watch, "run_cases", run_at_shutdown)
    watch = CaseWatch(LivePolicy(write(tmp_path, shipped_files()), routes()))
    await asyncio.wait_for(watch.run(stop), 10)
    assert [(each.run, each.not_run > 1_000) for each in reports] == [(0, True)]
    assert watch.report is None


async def _set(event: asyncio.Event) -> None:
    event.set()


def test_failing_cases_are_shown_with_their_place_on_disk() -> None:
    shown = CaseReport(run=9, failed=3, failures=(CaseProblem("tests/a.yaml", 3, None, "GET /x", "expected allow"),))
    in_files = [
        "".join(part if isinstance(part, str) else part[0] for part in line)
        for line in report_lines(shown, Path("my dir"))
    ]
    assert in_files[0] == "FAIL  my dir/tests/a.yaml:3: GET /x: expected allow"
    assert in_files[1] == "… and 2 more that fail; `authz policy test 'my dir'` shows all."
    assert "authz policy test" not in str(list(report_lines(shown, None)))


@pytest.mark.parametrize(
    ("caller", "expected", "got"),
    [
        ("a:read", "GET /x: rows.csv:1", ""),
        ("a:read", "GET /x: rows.csv:2", "rows.csv:1"),
        ("a:read", "GET /x: rows.csv", ""),
        ("a:read", "GET /x: other.csv", "rows.csv:1"),
        ("a:read", "GET /x: p, a:read, /x, GET, allow", ""),
        ("a:read", "GET /x: p, b:read, /x, GET, allow", "p, a:read, /x, GET, allow"),
        ("a:write", "GET /x: lacks a:read", ""),
        ("a:write", "GET /x: lacks b:read", "lacks a:read"),
        ("a:write", "GET /x: no rule covers it", "missing grants"),
        ("a:write", "GET /x: rows.csv:3", "missing grants"),
        ("a:write", "GET /x: p, c:read, /x, GET, deny", "missing grants"),
        ("a:write", "GET /y: no rule covers it", ""),
        ("a:write", "GET /y: lacks a:read", "no rule covers it"),
        ("c:read", "GET /x: rows.csv:3", ""),
        ("c:read", "GET /x: a rule denies it", ""),
        ("c:read", "GET /x: p, c:read, /x, GET, deny", ""),
        ("c:read", "GET /x: lacks a:read", "a rule denies it"),
    ],
)
def test_a_case_names_the_reason_that_it_got(caller: str, expected: str, got: str) -> None:
    verdict = "allow" if caller == "a:read" else "deny"
    text = f"cases:\n  - as: {caller}\n    {verdict}:\n      - {expected}\n# end\n"
    rows = ("p, a:read, /x, GET, allow", "p, b:read, /x, GET, allow", "p, c:read, /x, GET, deny")
    made = {**small_files(*rows), "tests/own.yaml": text.encode(), "other.csv": b"# end\n"}
    policy = Snapshot(parse(from_bytes(made)), TABLE)
    (case,) = policy.policy.cases
    problem = f"expected `{expected.partition(': ')[2]}`, got `{got}`" if got else ""
    assert outcome_of(policy, case, ()).problem == problem
    assert passes(policy, case, ()) == (not got)


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ((1, 0, 0), "1 case fails"),
        ((2, 1, 1), "2 cases fail, 1 case was removed, 1 case could not be run in time"),
        ((0, 2_000, 2), "2,000 cases were removed, 2 cases could not be run in time"),
    ],
)
def test_a_summary_counts_each_kind_of_problem(counts: tuple[int, int, int], text: str) -> None:
    assert CaseReport(9_000, *counts).summary == text


@pytest.mark.parametrize(("held", "allowed"), [(("user:ann",), True), (("user:bob",), False)])
def test_conditions_of_a_case_read_all_permissions_that_its_caller_holds(held: tuple[str, ...], allowed: bool) -> None:
    policy = snapshot(
        "p, anyone, /x, GET, allow, \"'a:read' in subject.permissions && subject.id == 'ann'\"",
        "g, user:ann, role:reader",
        "g, role:reader, a:read",
    )
    case = Case(FILE, 1, "", frozenset(held), "GET", "/x", allowed=allowed)
    assert outcome_of(policy, case, {"role:reader"}).passed
    assert passes(policy, case, {"role:reader"})
    assert not passes(policy, replace(case, allowed=not allowed), {"role:reader"})
