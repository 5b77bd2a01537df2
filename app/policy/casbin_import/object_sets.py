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
        return name in self._members(test)

    def _read(self, tests: tuple[ResolvedTest, ...]) -> ObjectSet:
        names: list[str] | None = None
        open_tests: list[ResolvedTest] = []
        for test in tests:
            if test.function == EQUALS:
                found = [test.value]
            elif test.function in self._matching:
                open_tests.append(test)
                continue
            elif test.function in self._graphs:
                found = list(self._members(test))
            elif patterns_of(test.function, test.value).is_everything:
                continue
            else:
                open_tests.append(test)
                continue
            names = found if names is None else [name for name in names if name in found]
        text = tests[0].value if tests else "*"
        if names is not None:
            return self._of_names([name for name in names if self._meets(name, open_tests)], text)
        if len(open_tests) > 1:
            things = tuple(thing for thing in self._things if self._meets(thing, open_tests))
            return ObjectSet(things, problem="two patterns must match the same object", text=text)
        if not open_tests:
            return self._of_patterns(self._everything, tuple(self._things), text)
        test = open_tests[0]
        if test.function in self._matching:
            return self._of_members(test)
        literal, is_only = literal_of(test.function, test.value)
        candidates = self._known_things & {literal or ""} if is_only else self._things
        things = tuple(thing for thing in candidates if self._meets(thing, open_tests))
        matching = self._of_patterns(patterns_of(test.function, test.value), things, test.value)
        is_open = not matching.patterns and not matching.problem and literal is None
        return replace(matching, is_open=is_open)

    def _of_members(self, test: ResolvedTest) -> ObjectSet:
        """The members of a role whose names are patterns, by the matching function of the program."""
        function, members = self._patterns(test)
        read = [patterns_of(function, member) for member in members]
        things = tuple(thing for thing in self._things if self._meets(thing, [test]))
        if any(each.equal for each in read):
            return ObjectSet(things, problem="segments that must be equal cannot be in a role", text=test.value)
        patterns = tuple(dict.fromkeys(pattern for each in read for pattern in each.patterns))
        problem = next((each.fault for each in read if each.fault), "")
        return ObjectSet(things, patterns, None, problem, test.value)

    def _members(self, test: ResolvedTest) -> Sequence[str]:
        """The names that have the role of a test."""
        domain = test.domain if isinstance(test.domain, str) else ""
        return self._graphs[test.function].reaching(domain, test.value)

    def _patterns(self, test: ResolvedTest) -> tuple[str, Sequence[str]]:
        """The function of a test, and the patterns of which one has to match."""
        function = self._matching.get(test.function)
        return (test.function, (test.value,)) if function is None else (function, self._members(test))

    def _meets(self, name: str, tests: Sequence[ResolvedTest]) -> bool:
        """Whether a name meets tests by patterns."""
        found = map(self._patterns, tests)
        return all(any(matches(function, name, each) for each in patterns) for function, patterns in found)

    def _of_names(self, names: Sequence[str], text: str) -> ObjectSet:
        things = tuple(name for name in names if not name.startswith("/"))
        read = [patterns_of(EQUALS, name) for name in names if name.startswith("/")]
        problem = next((each.fault for each in read if each.fault), "")
        return ObjectSet(things, tuple(pattern for each in read for pattern in each.patterns), None, problem, text)

    def _of_patterns(self, found: PathPatterns, things: tuple[str, ...], text: str) -> ObjectSet:
        return ObjectSet(things, found.patterns, found.equal, found.fault, text)
