"""What an editor shows about the word at a position, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from app.policy.analysis.case_runner import Outcome
from app.policy.editing.case_outcomes import outcomes_at
from app.policy.editing.condition_names import parameters_of
from app.policy.editing.grant_links import GrantLinks
from app.policy.editing.line_cells import cells_of
from app.policy.editing.meanings import FUNCTION_MEANINGS, MACRO_MEANINGS, METHOD_MEANINGS, fact_meaning
from app.policy.editing.names import PolicyNames, read_names
from app.policy.editing.position import Span, cursor_at
from app.policy.editing.suggestions import matched
from app.policy.editing.words import word_of
from app.policy.engine.snapshot import Snapshot
from app.policy.language.caller import caller_words
from app.policy.language.when.shape import describe
from app.policy.routing.routes import RouteTable, is_route

MAX_LISTED = 8
_NO_USES: Mapping[str, date] = {}


@dataclass(frozen=True, slots=True)
class HoverText:
    """What is shown about the characters of a span."""

    text: str
    span: Span


def hover(
    sources: Mapping[str, str],
    routes: RouteTable,
    file: str,
    line: int,
    column: int,
    *,
    snapshot: Snapshot | None = None,
    last_uses: Mapping[str, date] = _NO_USES,
) -> HoverText | None:
    """What the word at a position means; None if there is nothing to show.

    `snapshot` is the last policy that could be read, under which the cases at the position are decided. `last_uses` are
    the days on which a decision last needed a grant, as far as they are known.
    """
    cursor = cursor_at(sources, file, line, column)
    if cursor is None or (word := word_of(cursor)) is None:
        return None
    names = read_names(sources, routes)
    if word.kind == "grant":
        found = _of_grant(word.text, names, GrantLinks(sources), last_uses)
    elif word.kind == "name":
        cells = cells_of(cursor.text)
        found = _of_name(word.text, names, cells[2].text)
    else:
        outcomes = outcomes_at(snapshot, sources, file, line) if snapshot and file.startswith("tests/") else []
        about = _of_resource(word.text, names) if word.kind == "resource" else iter(())
        found = _of_cases(outcomes) if outcomes else about
    text = "\n\n".join(found)
    return HoverText(text, word.span) if text else None


def _of_grant(grant: str, names: PolicyNames, links: GrantLinks, last_uses: Mapping[str, date]) -> Iterator[str]:
    permission = names.permissions.get(grant)
    if permission:
        yield f"**{grant}**: {permission.title}" if permission.title else f"**{grant}**"
        if permission.grants:
            yield permission.grants
        if permission.deprecated:
            yield "It is deprecated."
    elif meaning := fact_meaning(grant):
        yield f"**{grant}**: {meaning}"
    else:
        return
    if added := links.added(grant):
        yield f"Rows add to it: {_listed(added)}"
    if holders := links.holders(grant):
        yield f"Held through rows by: {_listed(holders)}"
    needing = links.rows_needing(grant)
    if needing:
        yield f"Needed by {_counted(needing, 'row')}: {_listed([row.place for row in needing])}"
    elif permission and not holders:
        yield "No row needs it."
    if last := last_uses.get(grant):
        yield f"Last used: {last.isoformat()}"


def _of_name(name: str, names: PolicyNames, resource: str) -> Iterator[str]:
    """The meaning of a name in the condition of a row about a resource."""
    fields = dict(describe())
    first, _, last = name.rpartition(".")
    if name in fields:
        yield f"**{name}**: {fields[name].kind}"
        yield f"{fields[name].meaning}." if fields[name].always else f"{fields[name].meaning}. Test it with `has(…)`."
    elif first == "params":
        if last in parameters_of(names, resource):
            yield f"**{name}**: string"
            yield "A parameter of the path, as text."
    else:
        known = {**FUNCTION_MEANINGS, **METHOD_MEANINGS, **MACRO_MEANINGS}
        if last in known:
            yield f"**{last}**"
            yield f"`{known[last]}`"
        elif base := next((path for path in fields if name.startswith(f"{path}.")), ""):
            yield f"**{base}**: {fields[base].kind}"
            yield f"{fields[base].meaning}."


def _of_resource(resource: str, names: PolicyNames) -> Iterator[str]:
    if not is_route(resource):
        if actions := names.things.get(resource):
            yield f"`{resource}`: {', '.join(actions)}"
        return
    templates = matched(names.table, resource)
    if not templates:
        yield f"No route matches `{resource}`."
        return
    yield f"`{resource}` matches {_counted(templates, 'route')}:"
    yield _bullets([f"`{' '.join(names.table.actions(template))} {template}`" for template in templates])


def _of_cases(outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield _bullets(
        [
            f"{outcome.case.action} as `{' '.join(caller_words(outcome.case.held))}`: {_verdict(outcome)}"
            for outcome in outcomes
        ]
    )


def _verdict(outcome: Outcome) -> str:
    if outcome.explanation is None:
        return outcome.problem
    decision = outcome.explanation.decision
    verdict = "allow" if decision.allowed else "deny"
    if decision.rule:
        why = f"{decision.rule.place}: `{decision.rule}`"
    elif decision.missing:
        why = f"lacks {' '.join(decision.missing)}"
    else:
        why = str(decision.reason)
    failed = f" (**fails**: {outcome.problem})" if outcome.problem else ""
    return f"{verdict}, {why}{failed}"


def _bullets(items: Sequence[str]) -> str:
    more = [f"and {len(items) - MAX_LISTED} more"] if len(items) > MAX_LISTED else []
    return "\n".join(f"- {item}" for item in [*items[:MAX_LISTED], *more])


def _listed(items: Sequence[str]) -> str:
    more = f" and {len(items) - MAX_LISTED} more" if len(items) > MAX_LISTED else ""
    return ", ".join(f"`{item}`" for item in items[:MAX_LISTED]) + more


def _counted(items: Sequence[object], noun: str) -> str:
    count = len(items)
    return f"{count} {noun}" if count == 1 else f"{count:,} {noun}s"
