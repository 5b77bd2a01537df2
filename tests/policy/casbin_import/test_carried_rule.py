"""Route patterns are compared as the paths that they match."""

from __future__ import annotations

from itertools import product

from app.policy.casbin_import.carried_rule import RoutePattern
from app.policy.casbin_import.path_pattern import ANY, AnySegment

TEXTS = ("a", "b", "c")  # no pattern has the last one
PATHS = [path for length in range(4) for path in product(TEXTS, repeat=length)]
SEGMENTS: tuple[str | AnySegment, ...] = ("a", "b", ANY)
PATTERNS = [
    RoutePattern(segments, least)
    for length in range(3)
    for segments in product(SEGMENTS, repeat=length)
    for least in (None, 0, 1)
]


def matched(pattern: RoutePattern) -> set[tuple[str, ...]]:
    """The paths of at most three segments that a pattern matches."""
    count = len(pattern.segments)
    return {
        path
        for path in PATHS
        if (len(path) == count if pattern.least is None else len(path) >= count + pattern.least)
        and all(part in (ANY, text) for part, text in zip(pattern.segments, path, strict=False))
    }


def test_a_pattern_covers_and_overlaps_others_as_its_paths_do() -> None:
    paths = {pattern: matched(pattern) for pattern in PATTERNS}
    for one, other in product(PATTERNS, PATTERNS):
        assert one.covers(other) is (paths[one] >= paths[other]), (one, other)
        assert one.overlaps(other) is bool(paths[one] & paths[other]), (one, other)
