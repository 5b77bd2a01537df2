"""Paths that match another template once the route table changes.

If an upstream's document drops a template, its paths may match a looser one, as `/v1/orders/export` then matches
`/v1/orders/{id}`: no row changed, yet other rows decide. So the paths of each template that only one of the tables
has are resolved in both. They are not sampled: a parameter takes each text that leads to another template, and one
value that no template names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from urllib.parse import unquote

from app.policy.gc_control import natural_order, sorted_in_steps
from app.policy.routing.routes import RouteTable, is_parameter, segments, split_route
from app.policy.routing.segment import composite, is_composite, values_in
from app.policy.routing.template_tree import TAIL, Frontier, normalized

MAX_STEPS = 20_000  # for one template
MAX_ALL_STEPS = 300_000  # a few seconds
_MAX_TOGETHER = 2  # composite segments that one text must match, in addition to the template's own
_PER_STEP = 8  # composite segments that a text is checked against in one step
# Characters of a path that occur in a template only if encoded.
_VALUES = "*,&"

_Tables = tuple[RouteTable, RouteTable]


@dataclass(frozen=True, slots=True)
class Reroute:
    """A path and the templates that it matches in the old and in the new table, None if there is none.

    A parameter of `path` stands for a value that no other template names.
    """

    path: str
    was: str | None
    now: str | None


class TooManyPaths(Exception):
    """A template has too many paths to resolve."""


class Reroutes:
    """The reroutes between two tables, for the upstream templates that only one of them has.

    The application's own routes do not depend on the policy.
    """

    def __init__(self, old: RouteTable, new: RouteTable) -> None:
        self._tables: _Tables = (old, new)
        was, now = ({*table.templates, *table.closed} for table in self._tables)
        self.removed = tuple(
            template for template in sorted_in_steps(was - now, natural_order) if not template.startswith("/")
        )
        self.added = tuple(
            template for template in sorted_in_steps(now - was, natural_order) if not template.startswith("/")
        )
        texts = {unquote(template) for template in (*was, *now) if "%" in template} if was ^ now else ()
        self._value = next((each for each in _VALUES if not any(each in text for text in texts)), None)
        self._left = MAX_ALL_STEPS

    def of(self, template: str) -> tuple[Reroute, ...]:
        """Find the reroutes of the paths of a removed or added template. Raises TooManyPaths."""
        if self._value is None or self._left <= 0:
            raise TooManyPaths
        service, _ = split_route(template)
        paths = _Paths(template, self._tables, self._value, min(MAX_STEPS, self._left))
        found: dict[tuple[str | None, str | None], Reroute] = {}
        try:
            for path, shown in paths:
                was, now = (table.resolve(path, service) for table in self._tables)
                if was != now:
                    found.setdefault((was, now), Reroute(f"{service}:{shown}", was, now))
        finally:
            self._left -= paths.steps
        return tuple(found.values())


class _Paths:
    """Paths of a template, each with its display form: at least one of each kind that can differ between the tables."""

    def __init__(self, template: str, tables: _Tables, value: str, max_steps: int) -> None:
        self.steps = 0
        self._max_steps = max_steps
        self._value = value
        self._tables = tables
        self._service, self._path = split_route(template)
        self._parts = segments(template)[1:]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        if not any("{" in part or part in ("*", TAIL) for part in self._parts):
            self.steps += 1
            for path in _spellings(self._path):
                yield path, path
            return
        start = tuple(table.tree.start(f"{self._service}:") for table in self._tables)
        yield from self._walk(0, start, "", "")

    def _walk(self, at: int, places: tuple[Frontier, ...], path: str, shown: str) -> Iterator[tuple[str, str]]:
        """The paths that continue from here. A path that a table cannot match at all is left out."""
        if at == len(self._parts):
            yield path or "/", shown or "/"
            return
        if not all(places):
            return
        part = self._parts[at]
        cost = 1 + sum(place.composites for place in places) // _PER_STEP
        for text, as_shown in self._texts(part, places):
            self._step(cost)
            after = tuple(table.tree.after(place, text) for table, place in zip(self._tables, places, strict=True))
            longer = (after, f"{path}/{text}", f"{shown}/{as_shown}")
            yield from self._walk(at + 1, *longer)
            if part == TAIL and any(place.nodes for place in after):
                yield from self._walk(at, *longer)

    def _texts(self, part: str, places: tuple[Frontier, ...]) -> Iterator[tuple[str, str]]:
        """Texts that a segment of the template matches, each with its display form; the most general one first."""
        if not (part in ("*", TAIL) or is_parameter(part) or is_composite(part)):
            yield from ((text, text) for text in _spellings(part))
            return
        is_part = is_composite(part)
        if not is_part:
            yield self._value, part if is_parameter(part) else "{_}"
        keys = set[str]()
        for table, place in zip(self._tables, places, strict=True):
            for key in table.tree.keys(place):
                self._step()
                keys.add(key)
        composites = sorted(key for key in keys if is_composite(key))
        for count in range(0 if is_part else 1, _MAX_TOGETHER + 1):
            for others in combinations(composites, count):
                self._step()
                for text in self._common([*([part] if is_part else ()), *others]):
                    yield text, text.replace(self._value, "{_}")
        for key in sorted(keys.difference(composites)):
            if not is_part or values_in(part, key) is not None:
                yield key, key

    def _common(self, composites: list[str]) -> Iterator[str]:
        """Texts that match all of these segments, with one reading and, if possible, with several."""
        parts = [composite(segment) for segment in composites]
        first = max((each.texts[0] for each in parts), key=len)
        last = max((each.texts[-1] for each in parts), key=len)
        if not all(first.startswith(each.texts[0]) and last.endswith(each.texts[-1]) for each in parts):
            return
        middle = list(dict.fromkeys(text for each in parts for text in each.texts[1:-1]))
        yield self._value.join([first, *middle, last])
        if middle:
            # Each text twice, so that two programs could read different values.
            yield self._value.join([first, *middle, *middle, last])

    def _step(self, cost: int = 1) -> None:
        self.steps += cost
        if self.steps > self._max_steps:
            raise TooManyPaths


def _spellings(text: str) -> tuple[str, ...]:
    """A text of a template as spelled and, if different, decoded."""
    return tuple(dict.fromkeys((normalized(text), unquote(text))))
