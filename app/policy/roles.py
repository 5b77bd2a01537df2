"""Roles: what `g` rows add to grants, closed once when the policy loads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from app.policy.fault import Fault
from app.policy.rule import Membership

Closure = Mapping[str, frozenset[str]]


def close(memberships: Iterable[Membership], faults: list[Fault]) -> Closure:
    """Each member with all that it adds, itself left out. A circle of roles is a fault at the row that closes it."""
    direct: dict[str, dict[str, Membership]] = {}
    for row in memberships:
        direct.setdefault(row.member, {}).setdefault(row.grant, row)
    done: dict[str, frozenset[str]] = {}
    for member in direct:
        _close(member, direct, done, faults)
    return MappingProxyType({member: grants for member, grants in done.items() if grants})


def _close(
    start: str,
    direct: Mapping[str, Mapping[str, Membership]],
    done: dict[str, frozenset[str]],
    faults: list[Fault],
) -> None:
    """Depth first without recursion: a long chain of roles must not exhaust the stack."""
    path: dict[str, None] = {}
    stack = [(start, iter(direct.get(start, {}).items()))]
    path[start] = None
    while stack:
        member, edges = stack[-1]
        for grant, row in edges:
            if grant in path:
                circle = " → ".join([*list(path)[list(path).index(grant) :], grant])
                message = f"this row closes a circle: {circle}"
                faults.append(Fault("circle", row.file, row.line, 1, message, "delete one row of it", text=str(row)))
            elif grant not in done:
                path[grant] = None
                stack.append((grant, iter(direct.get(grant, {}).items())))
                break
        else:
            grants = direct.get(member, {})
            done[member] = frozenset(grants).union(*(done.get(grant, frozenset()) for grant in grants))
            del path[member]
            stack.pop()
