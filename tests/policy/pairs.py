"""Random pairs of policies, whose semantic difference is compared with brute force over all cells.

Brute force asks the oracle of `worlds`, under both policies, about every set of grants that one caller can state,
every action on every resource and every outcome of the conditions.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, combinations, product

from app.policy.analysis.access_change import AccessChange
from app.policy.analysis.semantic_diff import compare
from app.policy.analysis.terms import When
from tests.policy.worlds import (
    METHODS,
    PERMISSIONS,
    ROLES,
    VERBS,
    Disagreement,
    Row,
    World,
    closed,
    judge,
    make,
    rows_about,
    snapshot_of,
    written,
)

_PERSONS = [(), ("auth:jwt",), ("user:u1",), ("user:u2",), ("auth:jwt", "user:u1"), ("auth:jwt", "user:u2")]
_PROGRAMS = [facts for count in range(1, 4) for facts in combinations(("auth:api_key", "env:test", "key:7"), count)]
_SETS = chain.from_iterable(combinations(PERMISSIONS, count) for count in range(len(PERMISSIONS) + 1))
STATED = [frozenset((*some, *facts)) for some, facts in product(_SETS, [*_PERSONS, *_PROGRAMS])]
_READS = ("on", "off")
OUTCOMES = [dict(zip(_READS, values, strict=True)) for values in product((True, False, None), repeat=2)]
_MET = [{When(f"context.{name} == true"): outcome for name, outcome in outcomes.items()} for outcomes in OUTCOMES]


def make_pair(seeded: random.Random) -> tuple[World, World]:
    """A policy and another over the same routes: the same with a few changes, in another order, or any other."""
    old = make(seeded)
    if seeded.random() < 0.2:
        other = make(seeded)
        return old, written(World(other.rows, other.memberships, old.templates, old.things))
    rows, links = list(old.rows), list(old.memberships)
    for _ in range(seeded.choice([0, 1, 1, 1, 2, 3])):
        rows, links = _changed(seeded, rows, links)
    if seeded.random() < 0.5:
        seeded.shuffle(rows)
        seeded.shuffle(links)
    return old, written(World(rows, links, old.templates, old.things))


def _changed(
    seeded: random.Random, rows: list[Row], links: list[tuple[str, str]]
) -> tuple[list[Row], list[tuple[str, str]]]:
    spare = make(seeded)
    kind = seeded.choice(["drop", "add", "needs", "effect", "condition", "unlink", "link"])
    if kind == "add":
        return [*rows, seeded.choice(spare.rows)], links
    if kind == "unlink" and links:
        return rows, [link for link in links if link != links[0]]
    if kind in ("link", "unlink"):
        # Roles lead to permissions only, so that there is no cycle.
        return rows, [*links, (seeded.choice(["user:u1", "key:7", "anyone", *ROLES]), seeded.choice(PERMISSIONS))]
    place = seeded.randrange(len(rows)) if rows else 0
    if not rows:
        return rows, links
    row = rows[place]
    if kind == "drop":
        return rows[:place] + rows[place + 1 :], links
    if kind == "needs":
        row = replace(row, needs=seeded.choice(spare.rows).needs)
    elif kind == "effect":
        row = replace(row, effect="deny" if row.effect == "allow" else "allow")
    else:
        row = replace(row, conditional=seeded.random() < 0.7, reads=seeded.choice(_READS))
    return [*rows[:place], row, *rows[place + 1 :]], links


def agree(seeded: random.Random) -> int:
    """Compare a pair in both ways; return how many cells changed. Raises Disagreement with the pair."""
    old, new = make_pair(seeded)
    before, after = snapshot_of(old), snapshot_of(new)
    difference = compare(before, after)
    if difference.unknown:
        raise Disagreement(f"so small a world has too many combinations:\n{_description(old, new)}")
    held = [(stated, closed(old, stated), closed(new, stated)) for stated in STATED]
    changed = 0
    for resource, action in _questions(old):
        key = (resource, action)
        if key not in before.index and key not in after.index:
            key = (resource.partition(":")[0], action)  # a resource that no row names has the rules of its type
        changes = [change for change in difference.changes if change.resource == key[0] and action in change.actions]
        seen: set[AccessChange] = set()
        old_rows, new_rows = rows_about(old, resource, action), rows_about(new, resource, action)
        for (stated, held_then, held_now), (outcomes, met) in product(held, zip(OUTCOMES, _MET, strict=True)):
            then, now = judge(old_rows, held_then, outcomes), judge(new_rows, held_now, outcomes)
            covering = [change for change in changes if change.covers(stated, met)]
            expected = {"gain"} if now and not then else {"loss"} if then and not now else set()
            if {change.kind for change in covering} != expected:
                what = f"{action} {resource} for {sorted(stated)} when {outcomes}: then {then}, now {now}"
                raise Disagreement(f"{what}, but {covering}\n{_description(old, new)}")
            seen.update(covering)
            changed += bool(expected)
        if idle := set(changes) - seen:
            raise Disagreement(f"{action} {resource}: no caller is covered by {idle}\n{_description(old, new)}")
    return changed


def agree_all(seed: int, pairs: int) -> Iterator[tuple[int, int]]:
    """Compare seeded pairs, yielding how many are done and how many cells changed so far."""
    changed = 0
    for number in range(pairs):
        changed += agree(random.Random(f"{seed}:{number}"))
        yield number + 1, changed


def _questions(world: World) -> Iterator[tuple[str, str]]:
    yield from product(world.templates, METHODS)
    yield from product([*world.things, "doc", "doc:99", "other:1"], VERBS)


def _description(old: World, new: World) -> str:
    return f"{old.templates}\nold\n{old.files['world.csv'].decode()}\nnew\n{new.files['world.csv'].decode()}"
