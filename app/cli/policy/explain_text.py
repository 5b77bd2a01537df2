"""Formats an explanation as text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.terminal import Line
from app.policy.analysis.explanation import OWN_CLIENT, Explanation, Remedy, SideExplanation
from app.policy.analysis.near_rows import ConditionOutcome, NearRow
from app.policy.engine.decision import Decision
from app.policy.language.caller import caller_words
from app.policy.language.row_view import place_of
from app.policy.language.source import PolicySource

if TYPE_CHECKING:
    from app.policy.language.cases import Case
    from app.policy.language.load import Policy
    from app.policy.language.rule import Membership, Rule


def explanation_lines(found: Explanation, policy: Policy, directory: Path) -> Iterator[Line]:
    """The verdict, the row that decided, and for a denial what would open it."""
    decision, target = found.decision, found.target
    verdict = ("allow", "bold green") if decision else ("deny", "bold red")
    yield [verdict, f"  {target.action} {target.original}" + (f"  ({target.resource})" if _is_other(found) else "")]
    yield [("as     ", "dim"), " ".join(caller_words(found.held))]
    if found.sides:
        yield ""
        for side in found.sides:
            yield from _side(side, policy.source, directory)
        yield from ([""] if not decision else [])
        yield from _way_in(found, policy) if not decision else ()
        return
    if added := sorted(found.effective - found.held):
        yield [("roles  ", "dim"), "add " + " ".join(added)]
    yield ""
    if decision.rule and decision:
        yield "This row allows it:"
        yield from _row(decision.rule, policy.source, directory)
        yield from _added_by(found.added_by, policy.source, directory)
        return
    yield f"{_reason(decision)}."
    for rule in found.denies:
        yield from _row(rule, policy.source, directory)
    yield from _added_by(found.added_by if found.denies else (), policy.source, directory)
    for row in found.near:
        yield from _row(row.rule, policy.source, directory)
        yield from _obstacles(row)
    yield ""
    yield from _way_in(found, policy)


def remedy_line(found: Explanation) -> Line:
    """The smallest grant that would open it, or why none would."""
    if found.remedy is Remedy.GRANT and found.sides:
        what = "Smallest consent that opens it" if len(found.opens_with) == 1 else "Fewest scopes that open it"
        return [f"{what}: ", (" ".join(found.opens_with), "bold")]
    if found.remedy is Remedy.GRANT:
        what = "Smallest grant that opens it" if len(found.opens_with) == 1 else "Fewest grants that open it"
        return [f"{what}: ", (" ".join(found.opens_with), "bold")]
    own = f" {OWN_CLIENT}" if found.remedy is Remedy.NOT_ASKABLE and "app-kind:external" in found.held else ""
    return f"{str(found.remedy)[0].upper()}{str(found.remedy)[1:]}.{own}"


def _side(found: SideExplanation, source: PolicySource, directory: Path) -> Iterator[Line]:
    """What decided about an app, or about its user."""
    who = {"app": "The app", "user": "The user"}[found.side]
    if found.decision and found.decision.rule:
        yield f"{who} is allowed by this row:"
        yield from _row(found.decision.rule, source, directory)
    else:
        reason = _reason(found.decision)
        yield f"{who} is not allowed: {reason[0].lower()}{reason[1:]}."
    for rule in found.denies:
        yield from _row(rule, source, directory)
    yield from _added_by(found.added_by, source, directory)
    for row in found.near:
        yield from _row(row.rule, source, directory)
        yield from _obstacles(row)


def _reason(decision: Decision) -> str:
    if decision.missing:
        return "Missing " + ", ".join(f"`{grant}`" for grant in decision.missing)
    text = str(decision.reason)
    return text[0].upper() + text[1:]


def row_place(rule: Rule | Membership | Case, directory: Path) -> str:
    """`policies/catalog.csv:7`, as seen from where the command runs."""
    return place_of(str(directory / rule.file), rule.line)


def _is_other(found: Explanation) -> bool:
    return found.target.resource != found.target.original.removesuffix("/")


def _row(rule: Rule | Membership, source: PolicySource, directory: Path) -> Iterator[Line]:
    yield [("  " + row_place(rule, directory), "bold"), f": {source.line(rule.file, rule.line)}"]


def _added_by(rows: tuple[Membership, ...], source: PolicySource, directory: Path) -> Iterator[Line]:
    if rows:
        yield "Its grants are held through:"
    for row in rows:
        yield from _row(row, source, directory)


def _obstacles(row: NearRow) -> Iterator[Line]:
    if row.lacks:
        yield ["    lacks ", (" ".join(row.lacks), "bold")]
    if row.never:
        yield f"    of which this caller can never have {' '.join(row.never)}"
    if row.condition is ConditionOutcome.NO:
        yield "    its condition is not met"
    elif row.condition is ConditionOutcome.ERROR:
        yield f"    its condition cannot be evaluated: {row.error}"


def _way_in(found: Explanation, policy: Policy) -> Iterator[Line]:
    yield remedy_line(found)
    for grant in found.opens_with:
        if grant in policy.catalog:
            yield f"  {grant}: {policy.catalog[grant].title}"
        elif grant.startswith("role:"):
            yield f"  {grant}: given by a row such as `g, user:…, {grant}`"
        else:
            yield f"  {grant}: a fact that only the server states, of callers who have it"
