"""Random policies over random routes, an oracle over sets, and plain pycasbin.

The oracle is written from the language's description alone and shares no code with the engine.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import casbin
from casbin.model import Model

from app.policy.engine.casbin_crosscheck import mismatches
from app.policy.engine.expand import rows
from app.policy.engine.snapshot import Snapshot
from app.policy.language.load import parse
from app.policy.language.model import TEXT
from app.policy.language.source import from_bytes
from app.policy.language.when.condition import ConditionError
from app.policy.routing.routes import Route, RouteTable

PERMISSIONS = ("a:read", "a:write", "b:read", "b:write", "c:read")
FACTS = ("auth:jwt", "auth:api_key", "env:test", "user:u1", "user:u2", "key:7")
ROLES = ("role:one", "role:two", "role:three")
METHODS = ("GET", "POST", "DELETE")
VERBS = ("read", "write")


@dataclass(frozen=True)
class Row:
    """A generated rule."""

    needs: frozenset[str]
    resource: str
    actions: tuple[str, ...]
    effect: str
    conditional: bool
    reads: str = "on"

    @property
    def condition(self) -> str:
        return f"context.{self.reads} == true" if self.conditional else ""

    def __str__(self) -> str:
        cells = f"p, {' '.join(sorted(self.needs))}, {self.resource}, {'|'.join(self.actions)}, {self.effect}"
        return cells + (f', "{self.condition}"' if self.conditional else "")


@dataclass
class World:
    """A policy and its routes."""

    rows: list[Row]
    memberships: list[tuple[str, str]]
    templates: dict[str, list[str]]
    things: list[str]
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A question about a world."""

    held: frozenset[str]
    resource: str
    action: str
    context: Mapping[str, object]


def oracle(world: World, case: Case) -> bool:
    """The verdict by sets, from the description of the language."""
    return judge(rows_about(world, case.resource, case.action), closed(world, case.held), case.context)


def closed(world: World, stated: frozenset[str]) -> frozenset[str]:
    """All grants of a caller with these stated grants."""
    held = {*stated, "anyone"}
    while grown := {grant for member, grant in world.memberships if member in held} - held:
        held |= grown
    return frozenset(held)


def rows_about(world: World, resource: str, action: str) -> list[Row]:
    """The rows about an action on a resource; none for an unknown route."""
    if resource.startswith("/") and action not in world.templates.get(resource, ()):
        return []
    return [row for row in world.rows if action in row.actions and _names(row.resource, resource)]


def judge(rows: list[Row], held: frozenset[str], context: Mapping[str, object]) -> bool:
    """The verdict of these rows: a deny overrides every allow, and an error of a condition never allows."""
    allowed = False
    for row in rows:
        if not row.needs <= held:
            continue
        met = context.get(row.reads) if row.conditional else True
        if row.effect == "deny" and (met is None or met):
            return False
        if row.effect == "allow" and met is True:
            allowed = True
    return allowed


def _names(pattern: str, resource: str) -> bool:
    """Whether a resource pattern matches a template or another resource."""
    if not pattern.startswith("/"):
        return resource == pattern or resource.split(":", maxsplit=1)[0] == pattern
    if not resource.startswith("/"):
        return False
    return _fits([part for part in pattern.split("/") if part], [part for part in resource.split("/") if part])


def _fits(pattern: list[str], parts: list[str]) -> bool:
    if pattern == ["**"]:
        return True
    if not pattern or not parts:
        return not pattern and not parts
    both_parameters = pattern[0].startswith("{") and parts[0].startswith("{")
    if parts[0] == "**" or not (both_parameters or pattern[0] in ("*", parts[0])):
        return False
    return _fits(pattern[1:], parts[1:])


def make(seeded: random.Random) -> World:
    """Make a small world with many overlaps."""
    words = ("x", "y")
    templates: dict[str, list[str]] = {}
    for _ in range(seeded.randint(2, 7)):
        parts = [seeded.choice([*words, "{id}"]) for _ in range(seeded.randint(0, 2))]
        if seeded.random() < 0.15:
            parts.append("**")
        templates["/" + "/".join(parts)] = seeded.sample(METHODS, seeded.randint(1, 3))
    things = [f"doc:{number}" for number in range(3)]
    made = [_row(seeded, words, things) for _ in range(seeded.randint(1, 14))]
    links: list[tuple[str, str]] = []
    for _ in range(seeded.randint(0, 6)):
        member = seeded.choice([*FACTS, *ROLES, *PERMISSIONS[:2]])
        later = ROLES[ROLES.index(member) + 1 :] if member in ROLES else ROLES
        grant = seeded.choice([*(PERMISSIONS[2:] if member in PERMISSIONS else PERMISSIONS), *later])
        links.append((member, grant))
    links = [(member, grant) for member, grant in links if not (member in PERMISSIONS and grant in ROLES)]
    return written(World(made, links, templates, things))


def written(world: World) -> World:
    """Add the files to a world."""
    links = "".join(f"g, {member}, {grant}\n" for member, grant in world.memberships)
    text = "".join(f"{row}\n" for row in world.rows) + links
    names = "".join(f'["{name}"]\ntitle = "t"\ngrants = "g"\n' for name in PERMISSIONS)
    world.files = {
        "model.conf": f"{TEXT}# end\n".encode(),
        "permissions.toml": f"{names}# end\n".encode(),
        "world.csv": f"{text}# end\n".encode(),
    }
    return world


def _row(seeded: random.Random, words: tuple[str, ...], things: list[str]) -> Row:
    grants = [*PERMISSIONS, *FACTS, *ROLES, "anyone"]
    if seeded.random() < 0.25:
        resource = seeded.choice(["doc", *things])
        actions = seeded.sample(VERBS, seeded.randint(1, 2))
    else:
        parts = [seeded.choice([*words, "*", "*", "{id}"]) for _ in range(seeded.randint(0, 2))]
        if seeded.random() < 0.55:
            parts.append("**")
        resource = "/" + "/".join(parts)
        actions = seeded.sample(METHODS, seeded.randint(1, 3))
    needs = frozenset(seeded.sample(grants, seeded.choice([1, 1, 1, 1, 2, 3])))
    effect = "deny" if seeded.random() < 0.2 else "allow"
    return Row(needs, resource, tuple(actions), effect, seeded.random() < 0.2)


def ask(seeded: random.Random, world: World) -> Case:
    """Make a question, mostly about existing resources."""
    grants = [*PERMISSIONS, *FACTS, *ROLES, "z:unknown", "*", "a:*"]
    held = frozenset(seeded.sample(grants, seeded.randint(0, 10)))
    if seeded.random() < 0.3:
        resource, action = seeded.choice([*world.things, "doc", "doc:99", "other:1"]), seeded.choice(VERBS)
    else:
        resource = seeded.choice([*world.templates, *world.templates, "/nowhere"])
        action = seeded.choice(METHODS)
    on = seeded.choice([True, False, None])
    context: dict[str, object] = {} if on is None else {"on": on}
    return Case(held, resource, action, context)


def snapshot_of(world: World) -> Snapshot:
    """The engine over this world; dead rows are allowed."""
    table = RouteTable(Route(template, method) for template, methods in world.templates.items() for method in methods)
    return Snapshot(parse(from_bytes(world.files)), table)


class Plain:
    """The ordinary enforcer of pycasbin over the expanded rows."""

    def __init__(self, snapshot: Snapshot) -> None:
        model = Model()
        model.load_model_from_text(TEXT)
        self._rules = {rule.place: rule for rule in snapshot.policy.rules}
        self._enforcer = casbin.Enforcer(model)
        self._enforcer.add_function("holds", lambda held, needs: set(needs.split(" ")) <= held)
        self._enforcer.add_function("met", self._met)
        policy = model.model["p"]["p"].policy
        policy.extend([list(row) for row in rows(snapshot.index)])

    def _met(self, when: str, context: Mapping[str, object]) -> bool:
        rule = self._rules.get(when)
        if rule is None or rule.condition is None:
            return True
        try:
            return rule.condition.met(context)
        except ConditionError:
            return rule.effect == "deny"

    def allows(self, held: frozenset[str], resource: str, action: str, context: Mapping[str, object]) -> bool:
        """The verdict of pycasbin."""
        return bool(self._enforcer.enforce(held, resource, action, context))


class Disagreement(AssertionError):
    """Two of the three implementations disagree on a case."""


def compare(seed: int, cases: int, per_world: int = 100) -> Iterator[int]:
    """Decide seeded cases in three ways, yielding the number of completed ones. Raises Disagreement with the case."""
    done = 0
    while done < cases:
        seeded = random.Random(f"{seed}:{done}")
        world = make(seeded)
        snapshot = snapshot_of(world)
        plain = Plain(snapshot)
        for _ in range(min(per_world, cases - done)):
            case = ask(seeded, world)
            context = {"context": case.context}
            engine = bool(snapshot.decide(case.held, case.resource, case.action, context))
            again = bool(snapshot.decide(case.held, case.resource, case.action, context))
            expected = oracle(world, case)
            # Plain Casbin has neither roles nor types, so it is queried as the cross-check does.
            known = case.resource in {obj for obj, _ in snapshot.index}
            kind = case.resource if known or case.resource.startswith("/") else case.resource.split(":")[0]
            if snapshot.index:
                judged = plain.allows(snapshot.effective(case.held), kind, case.action, context)
            else:
                judged = False
            if not engine == again == expected == judged:
                policy = world.files["world.csv"].decode()
                verdicts = f"engine {engine}, again {again}, oracle {expected}, pycasbin {judged}"
                raise Disagreement(f"seed {seed}, from case {done}: {verdicts}\n{case}\n{world.templates}\n{policy}")
            done += 1
        for mismatch in mismatches(snapshot.index):
            raise Disagreement(f"seed {seed}, before case {done}: {mismatch}")
        yield done
