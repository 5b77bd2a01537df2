"""Which objects a row is about: things, which the files name, and patterns of paths."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from app.policy.casbin_import.casbin_functions import matches
from app.policy.casbin_import.matcher import EQUALS
from app.policy.casbin_import.path_pattern import (
    EVERYTHING,
    PathPattern,
    PathPatterns,
    literal_of,
    patterns_of,
)
from app.policy.casbin_import.role_graph import RoleGraph
from app.policy.casbin_import.subject_needs import ResolvedTest


@dataclass(frozen=True, slots=True)
class ObjectSet:
    """The objects of tests. `problem` says what they leave out, `text` is the pattern or name as written.

    `is_open`: a pattern also matches things that the files do not name.
    """

    things: tuple[str, ...] = ()
    patterns: tuple[PathPattern, ...] = ()
    equal: tuple[int, int] | None = None
    problem: str = ""
    text: str = ""
    is_open: bool = False


class ObjectReader:
    """Finds the objects of tests. `things` are the objects that are not paths, as the files name them.

    `matching` are the pattern functions of role definitions.
    """

    def __init__(
        self, graphs: Mapping[str, RoleGraph], things: Collection[str], matching: Mapping[str, str], *, has_paths: bool
    ) -> None:
        # A pattern that matches everything is about paths only where the program asks about paths.
        self._everything = EVERYTHING if has_paths or not things else replace(EVERYTHING, patterns=())
        self._graphs = graphs
        self._things = things
        self._known_things = frozenset(things)
        self._matching = matching
        self._known: dict[tuple[ResolvedTest, ...], ObjectSet] = {}

    def objects(self, tests: Sequence[ResolvedTest]) -> ObjectSet:
        """The objects that meet all tests."""
        key = tuple(dict.fromkeys(tests))
        if key not in self._known:
            self._known[key] = self._read(key)
        return self._known[key]

    def is_member(self, test: ResolvedTest, name: str) -> bool:
        """Whether a name has the role of a test."""
        domain = test.domain if isinstance(test.domain, str) else ""
        return name in self._graphs[test.function].reaching(domain, test.value)

    def _read(self, tests: tuple[ResolvedTest, ...]) -> ObjectSet:
        names: list[str] | None = None
        open_tests: list[ResolvedTest] = []
        for test in tests:
            if test.function == EQUALS:
                found = [test.value]
            elif test.function in self._matching and len(tests) == 1:
                return self._of_members(test)
            elif test.function in self._graphs:
                domain = test.domain if isinstance(test.domain, str) else ""
                found = list(self._graphs[test.function].reaching(domain, test.value))
            elif patterns_of(test.function, test.value).is_everything:
                continue
            else:
                open_tests.append(test)
                continue
            names = found if names is None else [name for name in names if name in found]
        text = tests[0].value if tests else "*"
        if names is not None:
            return self._of_names([n for n in names if all(matches(t.function, n, t.value) for t in open_tests)], text)
        if len(open_tests) > 1:
            return ObjectSet(problem="two patterns must match the same object", text=text)
        if not open_tests:
            return self._of_patterns(self._everything, tuple(self._things), text)
        test = open_tests[0]
        literal, is_only = literal_of(test.function, test.value)
        candidates = [literal] if is_only and literal in self._known_things else self._things
        things = tuple(thing for thing in candidates if thing and matches(test.function, thing, test.value))
        matching = self._of_patterns(patterns_of(test.function, test.value), things, test.value)
        is_open = not matching.patterns and not matching.problem and literal_of(test.function, test.value)[0] is None
        return replace(matching, is_open=is_open)

    def _of_members(self, test: ResolvedTest) -> ObjectSet:
        """The members of a role whose names are patterns, by the matching function of the program."""
        function = self._matching[test.function]
        domain = test.domain if isinstance(test.domain, str) else ""
        members = self._graphs[test.function].reaching(domain, test.value)
        read = [patterns_of(function, member) for member in members]
        if any(each.equal for each in read):
            return ObjectSet(problem="segments that must be equal cannot be in a role", text=test.value)
        things = [t for t in self._things if any(matches(function, t, member) for member in members)]
        patterns = tuple(dict.fromkeys(pattern for each in read for pattern in each.patterns))
        problem = next((each.fault for each in read if each.fault), "")
        return ObjectSet(tuple(things), patterns, None, problem, test.value)

    def _of_names(self, names: Sequence[str], text: str) -> ObjectSet:
        things = tuple(name for name in names if not name.startswith("/"))
        read = [patterns_of(EQUALS, name) for name in names if name.startswith("/")]
        problem = next((each.fault for each in read if each.fault), "")
        return ObjectSet(things, tuple(pattern for each in read for pattern in each.patterns), None, problem, text)

    def _of_patterns(self, found: PathPatterns, things: tuple[str, ...], text: str) -> ObjectSet:
        return ObjectSet(things, found.patterns, found.equal, found.fault, text)
