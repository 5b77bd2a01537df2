"""The `g` rows of the new policy: which users and roles hold the roles that its rules need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.policy.casbin_import.carried_rule import CarriedRule
from app.policy.casbin_import.casbin_rows import CasbinRow
from app.policy.casbin_import.import_fault import NoteKind
from app.policy.casbin_import.new_names import NewNames
from app.policy.casbin_import.role_graph import RoleGraph, link_of
from app.policy.casbin_import.subject_needs import SubjectReader
from app.policy.casbin_import.translation import Translation


@dataclass(frozen=True, slots=True)
class CarriedMembership:
    """A `g` row, and the row that it comes from."""

    source: CasbinRow
    member: str
    role: str


def memberships(
    graphs: Mapping[str, RoleGraph], names: NewNames, subjects: SubjectReader, found: Translation
) -> list[CarriedMembership]:
    """The `g` rows that lead to a role which a rule needs. Rules that need a role without members are removed."""
    every = [row for graph in graphs.values() for row in _of_graph(graph, names, subjects, found)]
    given = {row.role for row in every}
    kept: list[CarriedRule] = []
    for rule in found.rules:
        if any(need.startswith("role:") and need not in given for need in rule.needs):
            message = "no user has its role: only a caller that is named like the role has it in Casbin"
            kind: NoteKind = "left-out" if rule.effect == "allow" else "no-effect"
            found.note(kind, "no-member", rule.source, message, "say what it is: --subject alice=user:alice")
        else:
            kept.append(rule)
    found.rules = kept
    return needed(every, kept, found)


def _of_graph(
    graph: RoleGraph, names: NewNames, subjects: SubjectReader, found: Translation
) -> Iterable[CarriedMembership]:
    for row in graph.rows:
        member, role, domain = link_of(row)
        grant = names.role(graph.key(domain, role))
        if graph.is_role(domain, member):
            held = names.role(graph.key(domain, member))
            if held != grant:
                yield CarriedMembership(row, held, grant)
            if user := names.subjects.get(member):
                yield CarriedMembership(row, user, held)
        elif subjects.is_role(member):
            found.note(
                "left-out", "role-name", row, f"`{member}` is a role in another domain, and no user has its name"
            )
        elif user := names.subject(member):
            yield CarriedMembership(row, user, grant)
        else:
            message = f"rows cannot name the subject `{member}`, so it does not get the role"
            found.note(
                "left-out", "subject", row, message, "a name has visible ASCII without spaces, commas, `#` and `*`"
            )
        if user := names.subjects.get(role):
            yield CarriedMembership(row, user, grant)


def needed(
    every: Iterable[CarriedMembership], rules: Sequence[CarriedRule], found: Translation
) -> list[CarriedMembership]:
    """The `g` rows that lead to a role which a rule needs."""
    below: dict[str, list[CarriedMembership]] = defaultdict(list)
    distinct = {(row.member, row.role): row for row in reversed(list(every))}
    for row in distinct.values():
        below[row.role].append(row)
    roles = {need for rule in rules for need in rule.needs if need.startswith("role:")}
    roles.update(role for role in below if any(f"'{role}'" in rule.condition for rule in rules if rule.condition))
    todo = list(roles)
    while todo:
        for row in below.get(todo.pop(), ()):
            if row.member.startswith("role:") and row.member not in roles:
                roles.add(row.member)
                todo.append(row.member)
    for row in distinct.values():
        if row.role not in roles:
            found.note("no-effect", "unused-role", row.source, "no rule needs this role")
    return [row for row in reversed(distinct.values()) if row.role in roles]
