"""Random pairs of documents of a service with rows, whose difference is compared with decisions on concrete paths."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from itertools import product

from app.policy.analysis.access_change import AccessChange
from app.policy.analysis.semantic_diff import compare
from app.policy.engine.snapshot import Snapshot
from app.policy.language.load import parse
from app.policy.language.model import TEXT
from app.policy.language.source import from_bytes
from app.policy.routing.routes import RouteTable
from tests.policy.worlds import Disagreement

PERMISSIONS = ("a:read", "b:read")
_SEGMENTS = (
    "a", "ab", "a.b", "{id}", "{id}", "{key}", "a{x}", "{y}b", "{x}.{y}", "{x}.json", "{x}:{y}", "a%2Eb", "x*",
)  # fmt: skip
_TEXTS = ("a", "ab", "b", "a.b", "a.b.c", "axb", "z", "z.json", "a.json", "z.b.json", "a.xb", "a:b", "a:b:c", "xa", "x")
_PATHS = ["/" + "/".join(parts) for count in (1, 2) for parts in product(_TEXTS, repeat=count)]
_PATHS += ["/" + "/".join(parts) for parts in product(("a", "a.b", "axb", "z"), repeat=3)]
_HELD = [frozenset(PERMISSIONS[:1]), frozenset(PERMISSIONS[1:]), frozenset(PERMISSIONS), frozenset[str]()]


@dataclass(frozen=True)
class World:
    """The paths of a document, and the rows about them."""

    paths: tuple[str, ...]
    rows: tuple[str, ...]

    def snapshot(self) -> Snapshot:
        """The policy."""
        return policy(self.rows, self.paths)


def policy(rows: tuple[str, ...], paths: tuple[str, ...]) -> Snapshot:
    """A policy with these rows over a service `orders` whose document has these paths with GET, some with POST."""
    names = "".join(f'["{name}"]\ntitle = "t"\ngrants = "g"\n' for name in PERMISSIONS)
    files = {
        "model.conf": f"{TEXT}# end\n",
        "permissions.toml": f"{names}# end\n",
        "rows.csv": "".join(f"{row}\n" for row in rows) + "# end\n",
        "upstreams/orders.openapi.json": json.dumps(
            {"openapi": "3.1.0", "paths": {path: {"get": {}} for path in paths}}
        ),
    }
    return Snapshot(parse(from_bytes({name: text.encode() for name, text in files.items()})), RouteTable([]))


def operations(path: str) -> dict[str, dict[str, str]]:
    """The operations of a path in a document."""
    return {method: {} for method in (("get", "post") if len(path) % 2 else ("get",))}


def make(seeded: random.Random) -> tuple[World, World]:
    """A document and a variant with fewer or more paths, with rows for most paths of both."""
    every = {_path(seeded) for _ in range(seeded.randint(2, 8))}
    old = {path for path in every if seeded.random() < 0.8} or every
    new = {path for path in every if seeded.random() < 0.8} or every
    rows = []
    for path in sorted(every):
        need = seeded.choice([*PERMISSIONS, "anyone", " ".join(PERMISSIONS)])
        rows.append(f"p, {need}, orders:{path}, GET|POST, {seeded.choice(['allow', 'allow', 'allow', 'deny'])}")
    kept = tuple(row for row in rows if "*" not in row and seeded.random() < 0.9)
    return World(tuple(sorted(old)), kept), World(tuple(sorted(new)), kept)


def _path(seeded: random.Random) -> str:
    return "/" + "/".join(seeded.choice(_SEGMENTS) for _ in range(seeded.choice([1, 1, 2, 2, 3])))


def agree(seeded: random.Random) -> int:
    """Compare a pair with decisions on each path; return how many opened. Raises Disagreement."""
    old, new = make(seeded)
    before, after = old.snapshot(), new.snapshot()
    difference = compare(before, after)
    opened = 0
    # All paths with the same templates have the same decisions.
    met = {tuple(snapshot.table.resolve(path, "orders") for snapshot in (before, after)): path for path in _PATHS}
    for (templates, path), held, method in product(met.items(), _HELD, ("GET", "POST")):
        was, now = (
            bool(snapshot.decide(held, template or "", method))
            for snapshot, template in zip((before, after), templates, strict=True)
        )
        if was == now:
            continue
        kind = "gain" if now else "loss"
        if not any(_is_about(change, kind, templates, held, method) for change in difference.changes):
            raise Disagreement(f"{kind} of {method} {path} {templates} for {set(held)}: {difference}\n{old}\n{new}")
        opened += now
    return opened


def _is_about(
    change: AccessChange, kind: str, templates: tuple[str | None, ...], held: frozenset[str], method: str
) -> bool:
    if change.kind != kind or method not in change.actions or not change.covers(held, {}):
        return False
    if change.reroute:
        return (change.reroute.was, change.reroute.now) == templates
    return change.resource == templates[kind == "gain"]
