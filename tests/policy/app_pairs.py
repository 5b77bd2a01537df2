"""Random pairs of policies about apps, whose semantic difference is compared with brute force over delegated callers.

Brute force asks an oracle of its own about every app, consent and user: both sides must be allowed.
"""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import chain, combinations, product

from app.policy.analysis.access_change import AccessChange
from app.policy.analysis.semantic_diff import compare
from app.policy.analysis.terms import When
from app.policy.language.caller import read_caller
from tests.policy.worlds import Disagreement, Row, World, closed, judge, make, rows_about, snapshot_of, written

PERMISSIONS = ("a:read", "a:write", "b:read")
OTHERS = {"b:write": "a:write", "c:read": "b:read"}
NAMES = ("app:one", "app-kind:registered", "app-host:h.example", "auth:oauth")
FACTS = [frozenset(some) for count in range(4) for some in combinations((*NAMES[:3], "app:two"), count)]
FACTS = [facts for facts in FACTS if not {"app:one", "app:two"} <= facts]
SETS = list(chain.from_iterable(combinations(PERMISSIONS, count) for count in range(len(PERMISSIONS) + 1)))
USERS = [("user:u1",), ("user:u2",)]
OUTCOMES: list[dict[str, bool]] = [{"on": True}, {"on": False}, {}]


def make_pair(seeded: random.Random) -> tuple[World, World]:
    """A policy with rows about apps, and the same with a few changes."""
    world = make(seeded)
    rows = [_row(seeded) if seeded.random() < 0.6 else _narrowed(row) for row in world.rows]
    rows += [_ask(seeded) for _ in range(seeded.randint(0, 5))]
    links = [(member, grant) for member, grant in world.memberships if {member, grant}.isdisjoint(OTHERS)]
    links += [_link(seeded)] if seeded.random() < 0.4 else []
    world.things = ["doc:0"]
    changed, relinked = list(rows), list(links)
    for _ in range(seeded.choice([0, 1, 1, 2, 3])):
        place = seeded.randrange(len(changed) + 1)
        kind = seeded.choice(["drop", "add", "ask", "effect", "link", "unlink"])
        if kind == "drop":
            del changed[place : place + 1]
        elif kind == "effect" and place < len(changed):
            row = changed[place]
            changed[place] = replace(row, effect="deny" if row.effect == "allow" else "allow")
        elif kind == "link":
            relinked.append(_link(seeded))
        elif kind == "unlink":
            del relinked[:1]
        else:
            changed.insert(place, _ask(seeded) if kind == "ask" else _row(seeded))
    templates, things = world.templates, world.things
    return written(World(rows, links, templates, things)), written(World(changed, relinked, templates, things))


def _narrowed(row: Row) -> Row:
    """The row with the permissions that brute force asks about, and one condition."""
    return replace(row, needs=frozenset(OTHERS.get(need, need) for need in row.needs), reads="on")


def _row(seeded: random.Random) -> Row:
    grants = [*PERMISSIONS, *PERMISSIONS, *NAMES, "user:u1", "role:one", "anyone", "auth:jwt"]
    needs = frozenset(seeded.sample(grants, seeded.choice([1, 1, 1, 2])))
    effect = "deny" if seeded.random() < 0.25 else "allow"
    return Row(needs, seeded.choice(["/**", "/x/**", "/x", "/*"]), ("GET", "POST"), effect, seeded.random() < 0.2)


def _ask(seeded: random.Random) -> Row:
    needs = frozenset(seeded.sample(NAMES, seeded.choice([1, 1, 2])))
    effect = "deny" if seeded.random() < 0.25 else "allow"
    return Row(needs, f"scope:{seeded.choice(PERMISSIONS)}", ("ask",), effect, conditional=False)


def _link(seeded: random.Random) -> tuple[str, str]:
    return seeded.choice([*NAMES, "user:u1", "role:one", "a:read"]), seeded.choice(["a:write", "b:read"])


def agree(seeded: random.Random, callers: int | None = None) -> int:
    """Compare a pair in both ways; return how many cells changed. Raises Disagreement with the pair.

    With `callers`, only that many are asked about.
    """
    old, new = make_pair(seeded)
    before, after = snapshot_of(old), snapshot_of(new)
    difference = compare(before, after, with_implied=True)
    shown = compare(before, after)
    text = f"{old.templates}\nold\n{old.files['world.csv'].decode()}\nnew\n{new.files['world.csv'].decode()}"
    if difference.unknown or not set(shown.changes) <= set(difference.changes):
        raise Disagreement(f"unknown {difference.unknown}, or another change is shown:\n{text}")
    changed = 0
    questions = [*product(old.templates, ("GET", "POST")), *((f"scope:{scope}", "ask") for scope in PERMISSIONS)]
    every = [(facts, scopes, (*user, *grants)) for facts, scopes, user, grants in product(FACTS, SETS, USERS, SETS)]
    asked_about = every if callers is None else seeded.sample(every, callers)
    sides = [(_sides(old, *caller), _sides(new, *caller)) for caller in asked_about]
    for resource, action in questions:
        about = [change for change in difference.changes if change.resource == resource and action in change.actions]
        changes = [change for change in about if change.apps]
        seen: set[AccessChange] = set()
        was, now = rows_about(old, resource, action), rows_about(new, resource, action)
        asked = [(*each, outcomes) for each in zip(asked_about, sides, strict=True) for outcomes in OUTCOMES]
        for (facts, scopes, user), (then, later), outcomes in asked:
            allowed = [all(judge(rows, held, outcomes) for held in both) for rows, both in ((was, then), (now, later))]
            stated = read_caller(["auth:oauth", "anyone", *facts, *scopes, "for", *user])
            for snapshot, verdict in zip((before, after), allowed, strict=True):
                if bool(snapshot.decide(stated, resource, action, {"context": outcomes})) is not verdict:
                    raise Disagreement(f"{action} {resource} for {sorted(stated)}: {allowed}\n{text}")
            by_when = {When("context.on == true"): outcomes.get("on")}
            covering = [change for change in changes if change.covers(stated, by_when)]
            expected = {"gain"} if allowed == [False, True] else {"loss"} if allowed == [True, False] else set()
            if {change.kind for change in covering} != expected:
                what = f"{action} {resource} for {sorted(stated)} when {outcomes}: {allowed}"
                raise Disagreement(f"{what}, but {covering}\n{text}")
            hidden = [change for change in covering if change not in shown.changes]
            if hidden and not any(other.kind == hidden[0].kind and not other.apps for other in about):
                raise Disagreement(f"{action} {resource}: {hidden} follows from nothing\n{text}")
            seen.update(covering)
            changed += bool(expected)
        if callers is None and (idle := set(changes) - seen):
            raise Disagreement(f"{action} {resource}: no caller is covered by {idle}\n{text}")
    return changed


def _sides(
    world: World, facts: frozenset[str], scopes: tuple[str, ...], user: tuple[str, ...]
) -> tuple[frozenset[str], frozenset[str]]:
    """What the app holds and what its user holds, by the description of the language."""
    both = facts | {"anyone", "auth:oauth"}
    consented = [scope for scope in scopes if judge(rows_about(world, f"scope:{scope}", "ask"), both, {})]
    return closed(world, both.union(consented)), closed(world, both.union(user))
