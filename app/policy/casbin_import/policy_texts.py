"""Writes the files of an imported policy: rows, roles, and cases."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from app.policy.casbin_import.carried_rule import CarriedRule
from app.policy.casbin_import.casbin_rows import CasbinRow
from app.policy.casbin_import.role_rows import CarriedMembership
from app.policy.language.row_view import place_of
from app.policy.language.rule import action_order

MAX_SOURCES = 3  # of one row, named in its comment


@dataclass(frozen=True, slots=True)
class VerdictCase:
    """A verdict: the grants of the caller, an action on a resource, and whether it is allowed."""

    held: tuple[str, ...]
    action: str
    resource: str
    allowed: bool


def merged(rules: Iterable[CarriedRule]) -> list[tuple[CarriedRule, tuple[CasbinRow, ...]]]:
    """Rules that differ only in their actions as one, each with the rows that it comes from."""
    groups: dict[tuple[object, ...], list[CarriedRule]] = defaultdict(list)
    for rule in rules:
        groups[rule.effect, rule.needs, rule.resource, rule.condition].append(rule)
    found = []
    for same in groups.values():
        actions = tuple(sorted({action for rule in same for action in rule.actions}, key=action_order))
        sources = tuple(dict.fromkeys(rule.source for rule in same))
        is_exact, is_wider = all(rule.is_exact for rule in same), any(rule.is_wider for rule in same)
        found.append((replace(same[0], actions=actions, is_exact=is_exact, is_wider=is_wider), sources))
    return found


def rules_text(
    service: str, rules: Sequence[tuple[CarriedRule, tuple[CasbinRow, ...]]], closing: Sequence[str]
) -> tuple[str, dict[int, CarriedRule]]:
    """The file of rules, and the rule of each line; `closing` are further rows."""
    lines = [f"# What callers of `{service}` may do, carried over from Casbin. Each comment names the rows.", ""]
    places: dict[int, CarriedRule] = {}
    before = ""
    for rule, sources in rules:
        comment = _comment(sources)
        if comment != before:
            lines.append(comment)
            before = comment
        cells = ["p", " ".join(sorted(rule.needs)), rule.resource, "|".join(rule.actions), rule.effect]
        if rule.condition:
            cells.append('"' + rule.condition.replace('"', '""') + '"')
        lines.append(", ".join(cells))
        places[len(lines)] = rule
    if closing:
        lines += ["", *closing]
    return "\n".join([*lines, "# end", ""]), places


def roles_text(service: str, rows: Sequence[CarriedMembership]) -> str:
    """The file of roles."""
    lines = [f"# The roles of `{service}`, carried over from Casbin.", ""]
    before = ""
    for row in rows:
        comment = _comment((row.source,))
        if comment != before:
            lines.append(comment)
            before = comment
        lines.append(f"g, {row.member}, {row.role}")
    return "\n".join([*lines, "# end", ""])


def cases_text(cases: Iterable[VerdictCase]) -> str:
    """The file of cases: for each caller what it may do, and what not."""
    callers: dict[tuple[str, ...], dict[bool, dict[str, list[str]]]] = {}
    for case in cases:
        verdicts = callers.setdefault(case.held, {True: {}, False: {}})
        verdicts[case.allowed].setdefault(case.resource, []).append(case.action)
    lines = ["# Verdicts that Casbin gave, carried over with the rows.", "cases:"]
    for held, verdicts in callers.items():
        name, words = held[-1] if len(held) < 3 else " ".join(held[1:]), " ".join(held)
        lines += [f"  - name: {_quoted(name)}", f"    as: {_quoted(words)}"]
        for is_allowed, endpoints in verdicts.items():
            if endpoints:
                lines.append("    allow:" if is_allowed else "    deny:")
                lines += [f"      - {_quoted(_endpoint(actions, on))}" for on, actions in endpoints.items()]
    return "\n".join([*lines, "# end", ""])


def _quoted(text: str) -> str:
    """A text in YAML; a character beyond U+FFFF has no escape that JSON and YAML share."""
    return json.dumps(text, ensure_ascii=False)


def _endpoint(actions: Iterable[str], resource: str) -> str:
    return f"{'|'.join(sorted(set(actions), key=action_order))} {resource}"


def _comment(sources: Sequence[CasbinRow]) -> str:
    places: Mapping[str, None] = dict.fromkeys(place_of(row.file, row.line) for row in sources)
    more = f" and {len(places) - MAX_SOURCES} more" if len(places) > MAX_SOURCES else ""
    return f"# {', '.join(list(places)[:MAX_SOURCES])}{more}"
