"""Formats the outcome of a case: for people with what decided, and as a check for CI systems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.policy.junit import Check
from app.cli.terminal import Line
from app.policy.language.caller import caller_words

if TYPE_CHECKING:
    from app.policy.analysis.case_runner import Outcome
    from app.policy.language.cases import Case
    from app.policy.language.source import PolicySource


def failure_lines(outcome: Outcome, source: PolicySource, directory: Path) -> Iterator[Line]:
    """A case that fails: its place, its question, what is not as expected, and the row that decided."""
    from app.cli.policy.explain_text import remedy_line, row_place
    from app.policy.language.reason import Reason

    case, found = outcome.case, outcome.explanation
    yield [(row_place(case, directory), "bold"), f": {case.name}" if case.name else ""]
    yield f"  {_question(case)}"
    yield [("  " + outcome.problem, "red")]
    if outcome.hint:
        yield f"  hint: {outcome.hint}"
    if not found:
        return
    rules = found.denies or ((found.decision.rule,) if found.decision.rule else ())
    for rule in rules or tuple(row.rule for row in found.near[:1]):
        deciding = "decided by" if found.denies or found.decision else "nearest row"
        yield f"  {deciding} {row_place(rule, directory)}: {source.line(rule.file, rule.line)}"
    if found.decision:
        return
    if not found.denies and found.decision.reason is not Reason.NOT_HELD:  # the last line says what is missing
        yield f"  {found.decision.reason}"
    line = remedy_line(found)
    yield ["  ", *([line] if isinstance(line, str) else line)]


def case_checks(outcomes: Iterable[Outcome], directory: Path) -> list[Check]:
    """A check for each case, for a JUnit document."""
    return [
        Check(
            str(directory / outcome.case.file),
            f"{outcome.case.name}: {_question(outcome.case)}".removeprefix(": "),
            outcome.case.line,
            outcome.problem,
            outcome.hint,
        )
        for outcome in outcomes
    ]


def _question(case: Case) -> str:
    return f"{case.action} {case.resource}  as {' '.join(caller_words(case.held))}"
