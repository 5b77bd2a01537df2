"""Finds templates that can match the same path, and are ambiguous.

OpenAPI only ranks text before parameters. So of two overlapping templates, one is more specific if it has text
wherever they differ. If each has text where the other has a parameter, or if only the names of parameters differ,
programs may choose either: both are closed. If one differs only by text within a segment, as `{name}:cancel` from
`{name}`, a program may choose the wider one too: requests with a method that both have are denied.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from app.policy.language.openapi.budget import DocumentBudget, Work
from app.policy.routing.segment import composite, is_composite, shape
from app.policy.routing.template_tree import TAIL

# The cost of comparing two segments, and two composite segments.
_STEPS = 3
_COMPOSITE_STEPS = 5
_CHARACTERS = 32  # of two composite segments, compared in one step
_LESS, _LEAST = 1, 2  # how much narrower a template is: by text within a segment, or by a segment of text


@dataclass(frozen=True, slots=True)
class Ambiguity:
    """A template whose requests another may match: all of them, or those with `methods` if these are given."""

    template: str
    other: str
    methods: frozenset[str] | None = None


@dataclass(slots=True)
class _Place:
    """A node in the tree of all templates. Its `templates` end here, and differ at most in the names of parameters.

    A branch with a single template is stored as the template: most branches of a large document are of this kind.
    """

    depth: int = 0
    templates: list[str] = field(default_factory=list)
    below: dict[str, _Place | str] = field(default_factory=dict)
    patterns: dict[str, _Place | str] = field(default_factory=dict)  # those of `below` that are not text

    def add(self, template: str, parts: Sequence[str]) -> None:
        """Add a template by its segments."""
        place = self
        for part in parts:
            key = shape(part)
            if key not in place.below:
                place.put(key, template)
                return
            place = place.child(key)
        place.templates.append(template)

    def put(self, key: str, child: _Place | str) -> None:
        """Set the child for a segment."""
        self.below[key] = child
        if "{" in key or key == TAIL:
            self.patterns[key] = child

    def child(self, key: str) -> _Place:
        """The child for a segment. It replaces a single template."""
        found = self.below[key]
        if isinstance(found, str):
            place = _Place(self.depth + 1)
            parts = _parts(found)
            if place.depth < len(parts):
                place.put(shape(parts[place.depth]), found)
            else:
                place.templates.append(found)
            self.put(key, place)
            found = place
        return found

    def subtree(self) -> Iterator[str]:
        yield from self.templates
        for place in self.below.values():
            if isinstance(place, str):
                yield place
            else:
                yield from place.subtree()


def ambiguities(
    templates: Mapping[str, frozenset[str]], closed: Container[str] = (), budget: DocumentBudget | None = None
) -> Iterator[Ambiguity]:
    """Find the ambiguities among templates with their methods, at most one for each template that is not `closed`.

    Raises Unreadable if comparing overlapping templates exceeds the budget, by default a new one for each call.
    """
    budget = budget or DocumentBudget()
    root = _Place()
    for template in templates:
        root.add(template, _parts(template))
    walk = _Walk(root, budget)
    shapes: set[tuple[str, ...]] = set()
    for template in templates:
        each = _parts(template)
        if template in closed or walk.is_alone(template, each):
            continue
        shared: frozenset[str] = frozenset()
        first = ""
        for other, narrower, wider, is_behind in walk.meeting(each):
            if other == template or (wider and not narrower):
                continue
            if wider and is_behind and other in closed:
                continue  # their common paths resolve to the closed template first
            if wider:
                shapes = shapes or {tuple(map(shape, _parts(known))) for known in templates}
                if _both(each, _parts(other), budget) in shapes:
                    continue  # a third template matches all common paths, and is more specific than both
            if wider or not narrower:
                yield Ambiguity(template, other)
                break
            common = templates[template] & templates[other]
            if narrower == _LESS and common and any("{" in part for part in each):
                first = first or other
                shared |= common
        else:
            if shared:
                yield Ambiguity(template, first, shared)


class _Walk:
    """Finds the templates that overlap with a given one.

    Each is returned with how much narrower and how much wider the given one is, and whether the given one is wider
    where they first differ before a `**`, so that common paths resolve to the other.
    """

    def __init__(self, root: _Place, budget: DocumentBudget) -> None:
        self._root = root
        self._budget = budget

    def is_alone(self, template: str, parts: Sequence[str]) -> bool:
        """Whether a text of a template separates it from all others, as in most; if so, the walk is as good as done."""
        place: _Place | str = self._root
        for part in parts:
            if isinstance(place, str) or place.patterns or "{" in part or part == TAIL:
                break
            place = place.below[part]
        if place != template:
            return False
        self._budget.spend(Work.COMPARISONS, _STEPS + sum(_cost(part, shape(part)) for part in parts))
        return True

    def meeting(self, parts: tuple[str, ...]) -> Iterator[tuple[str, int, int, bool]]:
        waiting = [(self._root, 0, 0, 0, False)]
        while waiting:
            place, at, narrower, wider, is_behind = waiting.pop()
            if at == len(parts):
                self._budget.spend(Work.COMPARISONS, _STEPS * len(place.templates))
                yield from ((template, narrower, wider, is_behind) for template in place.templates)
                continue
            part = parts[at]
            head = _head(part)
            for key in place.below if "{" in part or part == TAIL else _textual(place, part):
                start = _head(key)
                if not (start.startswith(head) or head.startswith(start)):
                    self._budget.spend(Work.COMPARISONS, 1)
                    continue
                self._budget.spend(Work.COMPARISONS, _cost(part, key))
                if TAIL in (key, part):
                    # A template that continues is narrower than a `**`.
                    less, more = _LESS * (part != TAIL), _LESS * (key != TAIL)
                    for template in place.child(key).subtree():
                        self._budget.spend(Work.COMPARISONS, _STEPS)
                        yield template, max(narrower, less), max(wider, more), is_behind
                elif found := _compared(part, key):
                    behind = is_behind if narrower or wider else found[1] > 0 == found[0]
                    waiting.append((place.child(key), at + 1, max(narrower, found[0]), max(wider, found[1]), behind))


def _textual(place: _Place, part: str) -> Iterator[str]:
    """The keys of children that match a text, without visiting all others, of which there may be thousands."""
    if part in place.below:
        yield part
    yield from place.patterns


def _head(part: str) -> str:
    """The text before the first parameter of a segment, with which every match starts."""
    return "" if part == TAIL else part.partition("{")[0]


def _compared(part: str, key: str) -> tuple[int, int] | None:
    """How much narrower and how much wider a segment is than another's shape; None if no text matches both."""
    if shape(part) == key:
        return 0, 0
    own, other = _rank(part), _rank(key)
    if own == other == _LESS:
        one, two = composite(part), composite(key)
        narrower, wider = two.includes(one), one.includes(two)
        if narrower or wider:
            return (_LESS, 0) if narrower else (0, _LESS)
        return (_LESS, _LESS) if one.meets(two) else None
    if own == other:
        return None
    text, pattern = (part, key) if own > other else (key, part)
    if _rank(pattern) == _LESS and composite(pattern).values(text) is None:
        return None
    return (own, 0) if own > other else (0, other)


def _cost(part: str, key: str) -> int:
    """The steps to compare two segments."""
    if not (is_composite(part) and ("{" in key or key == TAIL)):
        return _STEPS
    return _COMPOSITE_STEPS + (len(part) + len(key)) // _CHARACTERS


def _rank(part: str) -> int:
    return _LEAST if "{" not in part else _LESS if is_composite(part) else 0


def _both(one: tuple[str, ...], other: tuple[str, ...], budget: DocumentBudget) -> tuple[str, ...]:
    """The shape of the paths that both templates match; empty if it is not a single shape."""
    found = []
    budget.spend(Work.COMPARISONS, sum(_cost(left, right) for left, right in zip(one, other, strict=False)))
    for left, right in zip(one, other, strict=False):
        compared = _compared(left, shape(right))
        if compared is None or TAIL in (left, right) or all(compared):
            return ()
        found.append(shape(right if compared[1] else left))
    return tuple(found)


def _parts(template: str) -> tuple[str, ...]:
    """The decoded segments of a template."""
    parts = template.split("/")
    return tuple(map(_decoded, parts) if "%" in template else parts)


def _decoded(part: str) -> str:
    """The decoded segment; encoded braces stay encoded."""
    return unquote(part.replace("%7B", "%257B").replace("%7D", "%257D")) if "%" in part else part
