"""The rules that an import carries over, before they are written as rows."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from app.policy.casbin_import.casbin_rows import CasbinRow
from app.policy.casbin_import.path_pattern import ANY, AnySegment, PartialSegment, PathPattern
from app.policy.language.rule import Effect

MAX_EXPANDED = 200  # rows of one pattern
TAIL = "**"


@dataclass(frozen=True, slots=True)
class RoutePattern:
    """Segments of text or any text. With a tail, at least `least` more segments follow."""

    segments: tuple[str | AnySegment, ...]
    least: int | None = None

    @property
    def has_tail(self) -> bool:
        """Whether more segments may follow."""
        return self.least is not None

    def resource(self, prefix: str) -> str:
        """The resource of a row: `orders:/v1/*` for any one segment, `orders:/v1/*/**` for one or more."""
        parts = [part if isinstance(part, str) else "*" for part in self.segments]
        parts += ["*"] * (self.least or 0) + ([TAIL] if self.has_tail else [])
        return f"{prefix}/" + "/".join(parts)

    def covers(self, other: RoutePattern) -> bool:
        """Whether it matches every path that the other matches."""
        if self.least is None and (other.least is not None or len(self.segments) != len(other.segments)):
            return False
        if len(self.segments) + (self.least or 0) > len(other.segments) + (other.least or 0):
            return False
        own = self.segments[: len(other.segments)]
        is_open = all(part == ANY for part in self.segments[len(other.segments) :])
        return is_open and all(part in (ANY, text) for part, text in zip(own, other.segments, strict=False))

    def overlaps(self, other: RoutePattern) -> bool:
        """Whether some path matches both."""
        if not self.has_tail and len(self.segments) < len(other.segments) + (other.least or 0):
            return False
        if not other.has_tail and len(other.segments) < len(self.segments) + (self.least or 0):
            return False
        pairs = zip(self.segments, other.segments, strict=False)
        return all(one == two or ANY in (one, two) for one, two in pairs)


@dataclass(frozen=True, slots=True)
class CarriedRule:
    """A rule of the new policy, and the row that it comes from.

    `is_exact`: an allow opens all that its row does. `is_wider`: a deny closes more than its row does.
    `guards_name`: a deny for a user who is named like a role, needed only if some row allows something to everyone.
    """

    source: CasbinRow
    order: int
    effect: Effect
    needs: frozenset[str]
    resource: str
    actions: tuple[str, ...]
    route: RoutePattern | None = None
    is_exact: bool = True
    is_wider: bool = False
    guards_name: bool = False
    condition: str = ""


def allowed_routes(pattern: PathPattern, literals: Collection[str], depth: int) -> tuple[list[RoutePattern], bool]:
    """The routes of an allow, and whether they are all that the pattern matches.

    A last slash of the pattern is ignored.
    """
    segments: list[tuple[str | AnySegment, ...]] = [()]
    for at, part in enumerate(pattern.segments):
        choices: Iterable[tuple[str | AnySegment, ...]]
        if isinstance(part, PartialSegment):
            choices = [(literal,) for literal in _literals(part, literals)]
        elif at == pattern.gap_at:
            choices = [(ANY,) * count for count in range(1, depth + 1)]
        else:
            choices = [(part,)]
        segments = [(*one, *other) for one in segments for other in choices][:MAX_EXPANDED]
    # Behind the root even the empty rest is a path of its own.
    least = int(pattern.tail_has_text or bool(pattern.segments)) if pattern.has_tail else None
    return [RoutePattern(each, least) for each in segments], pattern.is_exact


def denied_route(pattern: PathPattern) -> tuple[RoutePattern | None, bool]:
    """The route that covers all that a deny matches, None if there is none, and whether it is wider."""
    if pattern.gap_at is not None:
        before = tuple(part if isinstance(part, str) else ANY for part in pattern.segments[: pattern.gap_at])
        return (None, True) if _crosses(pattern.segments[: pattern.gap_at]) else (RoutePattern(before, 0), True)
    if _crosses(pattern.segments):
        return None, True
    segments = tuple(part if isinstance(part, str) else ANY for part in pattern.segments)
    is_partial = any(isinstance(part, PartialSegment) for part in pattern.segments)
    if pattern.tail_has_text:
        return RoutePattern(segments, 1), is_partial
    if pattern.has_tail:  # `/a/` is `/a` here, and Casbin denies the former
        return RoutePattern(segments, 0), is_partial or bool(segments)
    return RoutePattern(segments), is_partial or pattern.ends_with_slash


def _literals(part: PartialSegment, known: Collection[str]) -> Iterator[str]:
    found = re.compile(part.regex)
    if part.literal:
        yield part.literal
    yield from filter(found.fullmatch, known)


def _crosses(segments: Iterable[object]) -> bool:
    return any(isinstance(part, PartialSegment) and part.may_cross for part in segments)
