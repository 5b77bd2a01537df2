"""The OpenAPI document of a service of which only patterns are known: enough templates to tell all rows apart.

Of two templates that can match one path there is a third that matches what both do, so that each path has one most
specific template, as OpenAPI requires.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from app.policy.casbin_import.import_fault import ImportRefused
from app.policy.casbin_import.path_pattern import ANY, AnySegment
from app.policy.language.fault import Fault

MAX_TEMPLATES = 5_000
MAX_COMPARED = 200_000  # pairs of overlapping templates
MAX_SEGMENTS = 40
Shape = tuple[str | AnySegment, ...]
_Tree = dict[str | AnySegment, "_Tree"]


def shapes_of(bases: Iterable[tuple[Shape, bool]], depth: int) -> tuple[Shape, ...]:
    """The shapes of all templates: `bases` are segments, and whether anything may follow. Raises ImportRefused."""
    found: dict[Shape, None] = {}
    bases = tuple(dict.fromkeys(bases))
    # Each open end is as long as the longest path: a longer one would have only the template of another pattern.
    lengths = (len(segments) + depth * has_tail for segments, has_tail in bases)
    longest = min(max(lengths, default=0), MAX_SEGMENTS)
    for segments, has_tail in bases:
        found[segments] = None
        if has_tail:
            found.update(dict.fromkeys((*segments, *[ANY] * more) for more in range(1, longest - len(segments) + 1)))
        _check_count(found)
    _close(found)
    return tuple(sorted(found, key=_order))


def path_of(shape: Shape) -> str:
    """The template of a shape: a parameter is named by its position."""
    parts = (part if isinstance(part, str) else f"{{p{at}}}" for at, part in enumerate(shape, 1))
    return "/" + "/".join(parts)


def document(service: str, methods: Mapping[str, Sequence[str]]) -> str:
    """The OpenAPI document of paths with their methods."""
    paths: dict[str, object] = {}
    for path, names in methods.items():
        parts = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        parameters = [{"name": part, "in": "path", "required": True, "schema": {"type": "string"}} for part in parts]
        operation = {"responses": {"default": {"description": "The answer of the service"}}}
        paths[path] = {
            **({"parameters": parameters} if parameters else {}),
            **{name.lower(): operation for name in names},
        }
    found = {
        "openapi": "3.1.0",
        "info": {"title": service, "version": "imported", "description": "Generated from a Casbin policy."},
        "servers": [{"url": "/"}],
        "paths": paths,
    }
    return json.dumps(found, indent=1) + "\n"


def _close(found: dict[Shape, None]) -> None:
    """Add what two shapes with parameters have in common, until nothing is new."""
    trees: dict[int, _Tree] = defaultdict(dict)
    waiting = [shape for shape in found if _is_open(shape)]
    compared = 0
    while waiting:
        shape = waiting.pop()
        tree = trees[len(shape)]
        for other in list(_overlapping(tree, shape)):
            compared += 1
            if compared > MAX_COMPARED:
                raise _too_many("too many patterns match the same paths")
            both = tuple(right if left == ANY else left for left, right in zip(shape, other, strict=True))
            if both not in found:
                found[both] = None
                _check_count(found)
                if _is_open(both):
                    waiting.append(both)
        for part in shape:
            tree = tree.setdefault(part, {})


def _overlapping(tree: _Tree, shape: Shape) -> Iterator[Shape]:
    """The shapes of a tree that some path matches together with a shape of the same length."""
    waiting: list[tuple[_Tree, Shape]] = [(tree, ())]
    while waiting:
        node, before = waiting.pop()
        if len(before) == len(shape):
            yield before
            continue
        part = shape[len(before)]
        parts = node if part == ANY else (each for each in (part, ANY) if each in node)
        waiting += [(node[each], (*before, each)) for each in parts]


def _is_open(shape: Shape) -> bool:
    return ANY in shape


def _order(shape: Shape) -> tuple[str, ...]:
    return tuple(part if isinstance(part, str) else "{" for part in shape)


def _check_count(found: Mapping[Shape, None]) -> None:
    if len(found) > MAX_TEMPLATES:
        raise _too_many(f"the patterns need more than {MAX_TEMPLATES:,} paths to be told apart")


def _too_many(message: str) -> ImportRefused:
    hint = "import a part of the rows, or with a smaller --depth"
    return ImportRefused([Fault.of_file("too-many-paths", ".", message, hint)])
