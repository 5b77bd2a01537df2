"""Which callers a row is about, as grants: a subject is a user, a role what `g` rows give, a domain an organization."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from app.policy.casbin_import.casbin_functions import matches
from app.policy.casbin_import.new_names import NewNames, org_grant
from app.policy.casbin_import.path_pattern import literal_of, patterns_of
from app.policy.casbin_import.role_graph import RoleGraph
from app.policy.language.grants import excludes

MAX_NEEDS = 2_000  # alternatives of one row


@dataclass(frozen=True, slots=True)
class RequestDomain:
    """The domain of the request, as the third argument of a role function."""


@dataclass(frozen=True, slots=True)
class ResolvedTest:
    """A test of a field, with the value of the row."""

    function: str
    value: str
    domain: str | RequestDomain | None = None


Needs = frozenset[str]


@dataclass(frozen=True, slots=True)
class SubjectNeeds:
    """Alternatives, each of which is enough. `names` are those for a caller who is named like a role.

    `problem` says which callers they leave out; empty if none. With `is_unnameable` rows cannot name these at all, and
    with `is_open` they are any whose name or domain has a pattern, so that a deny has to be about everyone.
    `unnamed` is a subject with a role that rows cannot give it, so that a deny would miss it.
    """

    alternatives: tuple[Needs, ...]
    names: tuple[Needs, ...] = ()
    problem: str = ""
    is_unnameable: bool = False
    is_open: bool = False
    unnamed: str = ""


class SubjectReader:
    """Finds the needs of rows. `members` and `domains` are all that the files name."""

    def __init__(
        self,
        graphs: Mapping[str, RoleGraph],
        names: NewNames,
        members: Collection[str],
        domains: Collection[str],
    ) -> None:
        self._graphs = graphs
        self._names = names
        self._members = members
        self._domains = domains
        self._unnamed = frozenset(name for name in members if names.subject(name) is None)
        self._known: dict[tuple[tuple[ResolvedTest, ...], tuple[ResolvedTest, ...]], SubjectNeeds] = {}

    def needs(self, tests: Sequence[ResolvedTest], domain_tests: Sequence[ResolvedTest]) -> SubjectNeeds:
        """The needs of tests of the subject and the domain."""
        key = (tuple(tests), tuple(domain_tests))
        if key not in self._known:
            self._known[key] = self._read(*key)
        return self._known[key]

    def is_role(self, name: str) -> bool:
        """Whether a name is a role, and no user."""
        return name not in self._names.subjects and any(graph.is_role_anywhere(name) for graph in self._graphs.values())

    def _read(self, tests: Sequence[ResolvedTest], domain_tests: Sequence[ResolvedTest]) -> SubjectNeeds:
        domains, problem = self._matching_domains(domain_tests)
        is_unnameable, is_open, unnamed = False, bool(problem), ""
        found: dict[Needs, None] = {}
        names: dict[Needs, None] = {}
        for domain in domains:
            org = org_grant(domain) if domain is not None else None
            if domain is not None and org is None:
                problem, is_unnameable = f"`{domain}` cannot be the id of an organization", True
                continue
            options = [self._options(test, domain) for test in tests]
            problem = next((each.problem for each in options if each.problem), problem)
            is_unnameable = is_unnameable or any(each.is_unnameable for each in options)
            is_open = is_open or any(each.is_open for each in options)
            unnamed = next((each.unnamed for each in options if each.unnamed), unnamed)
            base = frozenset({org}) if org else frozenset()
            found.update(dict.fromkeys(_combined(base, [each.alternatives for each in options])))
            with_names = [(*each.alternatives, *each.names) for each in options]
            names.update(dict.fromkeys(_combined(base, with_names)))
        if len(found) > MAX_NEEDS:
            problem = f"it is about more than {MAX_NEEDS} combinations of roles and domains"
            return SubjectNeeds((), problem=problem, is_unnameable=True)
        others = tuple(each for each in names if each not in found)
        return SubjectNeeds(tuple(found), others, problem, is_unnameable, is_open, unnamed)

    def _matching_domains(self, tests: Sequence[ResolvedTest]) -> tuple[Sequence[str | None], str]:
        """The domains that tests allow, and which are left out; None stands for any."""
        found: Sequence[str | None] = [None]
        problem = ""
        for test in tests:
            if patterns_of(test.function, test.value).is_everything:
                continue
            literal, is_exact = literal_of(test.function, test.value)
            if literal is not None:
                matching = [literal]
            else:
                matching = [domain for domain in self._domains if matches(test.function, domain, test.value)]
            if not is_exact:
                problem = f"`{test.value}` matches domains that the files do not name"
            found = matching if found == [None] else [domain for domain in found if domain in matching]
        return found, problem

    def _options(self, test: ResolvedTest, domain: str | None) -> SubjectNeeds:
        if test.function in self._graphs:
            return self._role_options(self._graphs[test.function], test, domain)
        literal, is_exact = literal_of(test.function, test.value)
        problem = "" if is_exact else f"`{test.value}` matches subjects that the files do not name"
        if literal is not None:
            named = self._named(literal)
            return replace(named, problem=named.problem or problem, is_open=not is_exact)
        if patterns_of(test.function, test.value).is_everything:
            return SubjectNeeds((frozenset(),))
        users = [name for name in self._members if not self.is_role(name) and matches(test.function, name, test.value)]
        grants = [grant for grant in map(self._names.subject, users) if grant]
        return SubjectNeeds(tuple(frozenset({grant}) for grant in grants), problem=problem, is_open=True)

    def _named(self, name: str) -> SubjectNeeds:
        grant = self._names.subject(name)
        if grant is None:
            return SubjectNeeds((), problem=f"rows cannot name the subject `{name}`", is_unnameable=True)
        needs = (frozenset({grant}),)
        if self.is_role(name):
            problem = f"`{name}` is a role here, and no user has its name"
            return SubjectNeeds((), names=needs, problem=problem)
        return SubjectNeeds(needs)

    def _role_options(self, graph: RoleGraph, test: ResolvedTest, domain: str | None) -> SubjectNeeds:
        """The holders of a role: a domain of the request that any row leaves open is one of those with the role."""
        if test.domain is None:
            places: Iterable[tuple[str, str | None]] = [("", None)]
        elif isinstance(test.domain, str):
            places = [(test.domain, None)]
        elif domain is not None:
            places = [(domain, None)]
        else:
            places = [(each, each) for each in graph.domains]
        found: list[Needs] = []
        problem = ""
        for place, org_name in places:
            if graph.is_role(place, test.value):
                org = org_grant(org_name) if org_name is not None else None
                if org_name is not None and org is None:
                    problem = f"`{org_name}` cannot be the id of an organization"
                    continue
                role = self._names.role(graph.key(place, test.value))
                found.append(frozenset({role, org} if org else {role}))
        if found:
            names = self._names_with_role(graph, test.value)
            unnamed = self._unnamed_with_role(graph, (place for place, _ in places), test.value)
            return SubjectNeeds(tuple(found), names, problem, bool(problem), unnamed=unnamed)
        named = self._named(test.value)
        if named.names:  # a role in other domains only has no holder here
            return SubjectNeeds((), named.names, problem, bool(problem))
        return named

    def _names_with_role(self, graph: RoleGraph, role: str) -> tuple[Needs, ...]:
        """Users who are named like a role and would have this one in Casbin, in any domain."""
        names = {name: None for place in graph.domains for name in graph.reaching(place, role) if self.is_role(name)}
        grants = (self._names.subject(name) for name in (role, *names))
        return tuple(dict.fromkeys(frozenset({grant}) for grant in grants if grant))

    def _unnamed_with_role(self, graph: RoleGraph, places: Iterable[str], role: str) -> str:
        """A subject that has a role in one of these domains, and that rows cannot name; empty if there is none."""
        holders = (name for place in places for name in graph.reaching(place, role))
        return next((name for name in holders if name in self._unnamed), "")


def _combined(base: Needs, options: Sequence[Sequence[Needs]]) -> Iterable[Needs]:
    """Every way to meet all tests, without those that no caller can hold together."""
    for count, chosen in enumerate(product(*options)):
        if count > MAX_NEEDS:
            return
        needs = base.union(*chosen)
        if not any(excludes(needs - {grant}, grant) for grant in needs):
            yield needs
