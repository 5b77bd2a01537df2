"""What the files of a Casbin program name: subjects, domains, things, actions, and the segments of paths."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from app.policy.casbin_import.casbin_policy import CasbinPolicy
from app.policy.casbin_import.matcher import EQUALS, PATTERNS, FieldTest
from app.policy.casbin_import.new_names import is_verb
from app.policy.casbin_import.path_pattern import PartialSegment, literal_of, patterns_of

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]*")


class KnownValues:
    """Each value once, in the order of the files. `verbs` are the actions that rows can name."""

    def __init__(self, casbin: CasbinPolicy, other_objects: Collection[str] = ()) -> None:
        fields = casbin.fields
        self._casbin = casbin
        self.subjects = tuple(dict.fromkeys(self._named(fields.subject)))
        linked = (domain for graph in casbin.graphs_of(fields.subject).values() for domain in graph.domains if domain)
        self.domains = tuple(dict.fromkeys((*self._named(fields.domain), *linked)))
        objects = list(self._tested(fields.object))
        named = [*self._named(fields.object), *other_objects]
        self.has_paths = any(value.startswith(("/", "^/")) for _, value in objects) or any(
            name.startswith("/") for name in named
        )
        self.things = tuple(dict.fromkeys(name for name in named if not name.startswith("/")))
        self.literals = tuple(dict.fromkeys(self._literals(objects, named)))
        words = (word for _, value in self._tested(fields.action) for word in _words(value))
        self.verbs = tuple(dict.fromkeys(verb for verb in (*words, *self._named(fields.action)) if is_verb(verb)))

    def _named(self, field: str | None) -> Iterator[str]:
        """The names that tests of a field compare it with, and those of its role rows."""
        graphs = self._casbin.graphs_of(field)
        for function, value in self._tested(field):
            name = value if function in graphs else literal_of(function, value)[0]
            if name is not None:
                yield name
        yield from (name for graph in graphs.values() for row in graph.rows for name in row.cells[:2])

    def _tested(self, name: str | None) -> Iterable[tuple[str, str]]:
        """The functions and values with which a field is tested, once each."""
        casbin = self._casbin
        tests = {
            (test.function, test.argument)
            for each in casbin.alternatives
            for test in each
            if isinstance(test, FieldTest) and test.field == name
        }
        found: dict[tuple[str, str], None] = {}
        for function, argument in sorted(tests, key=str):
            if isinstance(argument, str):
                found[function, argument] = None
            else:
                at = casbin.model.policy.index(argument.name)
                found.update(((function, row.cells[at]), None) for row in casbin.rows.rules)
        return found

    def _literals(self, objects: Sequence[tuple[str, str]], names: Sequence[str]) -> Iterator[str]:
        patterns = [patterns_of(*each) for each in objects if each[0] in PATTERNS]
        patterns += [patterns_of(EQUALS, name) for name in names]
        for pattern in (pattern for each in patterns for pattern in each.patterns):
            for part in pattern.segments:
                if isinstance(part, str):
                    yield part
                elif isinstance(part, PartialSegment) and part.literal:
                    yield part.literal


def _words(value: str) -> Iterator[str]:
    return iter(_WORD.findall(value))
