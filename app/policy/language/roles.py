"""Roles: what `g` rows add to grants."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

from app.policy.language.fault import Fault
from app.policy.language.rule import Membership

MAX_SHOWN = 8

# Each member with its direct grants. The transitive closure is not stored: a chain of n roles
# would take n² entries.
Roles = Mapping[str, frozenset[str]]


def link(memberships: Iterable[Membership], faults: list[Fault]) -> Roles:
    """Link the roles of a policy. A cycle of roles is a fault at the last row of the cycle."""
    rows: dict[str, dict[str, Membership]] = {}
    for row in memberships:
        rows.setdefault(row.member, {}).setdefault(row.grant, row)
    faults += _cycles(rows)
    return MappingProxyType({member: frozenset(grants) for member, grants in rows.items()})


def close(stated: Iterable[str], roles: Roles) -> frozenset[str]:
    """The stated grants and all that roles add to them."""
    held = set(stated)
    todo = [grant for grant in held if grant in roles]
    while todo:
        added = roles[todo.pop()] - held
        held |= added
        todo += [grant for grant in added if grant in roles]
    return frozenset(held)


def chain(rows: Mapping[str, Sequence[Membership]], stated: Collection[str], grant: str) -> tuple[Membership, ...]:
    """The shortest chain of `g` rows, given by their member, from one of the stated grants to another grant."""
    came_by: dict[str, Membership] = {}
    queue = deque(sorted(stated))
    while queue and grant not in came_by and grant not in stated:
        for row in rows.get(queue.popleft(), ()):
            if row.grant not in stated and row.grant not in came_by:
                came_by[row.grant] = row
                queue.append(row.grant)
    found: list[Membership] = []
    while row_before := came_by.get(grant):
        found.append(row_before)
        grant = row_before.member
    return tuple(reversed(found))


def _cycles(rows: Mapping[str, Mapping[str, Membership]]) -> Iterator[Fault]:
    """Search depth-first without recursion, since a long chain of roles would exhaust the stack."""
    done: set[str] = set()
    for start in rows:
        path: dict[str, Iterator[Membership]] = {}
        at: str | None = start if start not in done else None
        while at is not None:
            edges = path.setdefault(at, iter(rows.get(at, {}).values()))
            for row in edges:
                if row.grant in path:
                    yield _cycle(rows, [*path, row.grant])
                elif row.grant not in done:
                    at = row.grant
                    break
            else:
                done.add(at)
                del path[at]
                at = next(reversed(path), None)


def _cycle(rows: Mapping[str, Mapping[str, Membership]], path: list[str]) -> Fault:
    """The fault of a path that returns to one of its members, at the last row of the cycle."""
    names = path[path.index(path[-1]) :]
    row = max((rows[member][grant] for member, grant in pairwise(names)), key=lambda each: (each.file, each.line))
    if len(names) > MAX_SHOWN:
        names = [*names[: MAX_SHOWN - 2], "…", *names[-2:]]
    text = str(row)
    message = f"this row creates a cycle: {' → '.join(names)}"
    return Fault("circle", row.file, row.line, 1, message, "delete one row of the cycle", len(text), text)
