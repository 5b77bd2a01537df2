"""The roles of a role definition of Casbin: who reaches which role, in which domain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.policy.casbin_import.casbin_rows import CasbinRow
from app.policy.language.fault import Fault
from app.policy.language.source import shown

# Casbin follows this many links from a member; what is further away it does not find.
MAX_LINKS = 9


@dataclass(frozen=True, slots=True)
class RoleKey:
    """A role: its definition, its domain (empty without domains), and the name of the first of its equivalents."""

    group: str
    domain: str
    name: str


def link_of(row: CasbinRow) -> tuple[str, str, str]:
    """The member, the role and the domain of a row of a role definition; the domain is empty without domains."""
    member, role, *domains = row.cells  # at most one domain
    return member, role, "".join(domains)


class RoleGraph:
    """The links of one role definition. Names on the right side of a row are roles, all others are members only."""

    def __init__(self, group: str, rows: Sequence[CasbinRow]) -> None:
        self.group = group
        self.rows = rows
        self._above: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        self._below: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for row in rows:
            member, role, domain = link_of(row)
            self._above[domain][member].append(role)
            self._below[domain][role].append(member)
        self._same: Mapping[str, Mapping[str, str]] = {
            domain: _equivalents(links) for domain, links in self._above.items()
        }

    @property
    def domains(self) -> tuple[str, ...]:
        """Every domain of a row."""
        return tuple(self._above)

    def roles(self, domain: str) -> Iterable[str]:
        """The names that are roles in a domain."""
        return self._below[domain].keys() if domain in self._below else ()

    def is_role(self, domain: str, name: str) -> bool:
        """Whether a name is a role in a domain."""
        return domain in self._below and name in self._below[domain]

    def is_role_anywhere(self, name: str) -> bool:
        """Whether a name is a role in any domain."""
        return any(name in roles for roles in self._below.values())

    def key(self, domain: str, name: str) -> RoleKey:
        """The role of a name; the names of a cycle are one role, since each reaches the others."""
        return RoleKey(self.group, domain, self._same.get(domain, {}).get(name, name))

    def reaching(self, domain: str, name: str) -> tuple[str, ...]:
        """The name itself and all that reach it, nearest first."""
        found = {name: None}
        level = [name]
        below = self._below.get(domain, {})
        for _ in range(MAX_LINKS):
            level = [member for each in level for member in below.get(each, ()) if member not in found]
            found.update(dict.fromkeys(level))
        return tuple(found)

    def faults(self) -> Iterator[Fault]:
        """Members of roles so far away that Casbin does not find them, while `g` rows here would."""
        for row in self.rows:
            member, _, domain = link_of(row)
            if self._is_deep(domain, member):
                message = f"from `{member}` a role is more than {MAX_LINKS} links away, where Casbin does not look"
                yield Fault("role-chain", row.file, row.line, 1, message, "shorten the chain", text=shown(str(row)))
                return

    def _is_deep(self, domain: str, member: str) -> bool:
        links, seen, level = self._above[domain], {member}, [member]
        for _ in range(MAX_LINKS + 1):
            following = [role for each in level for role in links.get(each, ()) if role not in seen]
            level = list(dict.fromkeys(following))
            seen.update(level)
        return bool(level)


def _equivalents(links: Mapping[str, Sequence[str]]) -> Mapping[str, str]:
    """Each name of a cycle, with the name that stands for all names of it. Tarjan's algorithm without recursion."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: dict[str, str] = {}
    for start in list(links):
        if start in index:
            continue
        walk: list[tuple[str, Iterator[str]]] = [(start, iter(links.get(start, ())))]
        index[start] = low[start] = len(index)
        stack.append(start)
        on_stack.add(start)
        while walk:
            name, following = walk[-1]
            for role in following:
                if role not in index:
                    index[role] = low[role] = len(index)
                    stack.append(role)
                    on_stack.add(role)
                    walk.append((role, iter(links.get(role, ()))))
                    break
                if role in on_stack:
                    low[name] = min(low[name], index[role])
            else:
                walk.pop()
                if walk:
                    low[walk[-1][0]] = min(low[walk[-1][0]], low[name])
                if low[name] == index[name]:
                    cycle: list[str] = []
                    while not cycle or cycle[-1] != name:
                        cycle.append(stack.pop())
                        on_stack.discard(cycle[-1])
                    first = min(cycle, key=index.__getitem__)
                    found.update((each, first) for each in cycle if len(cycle) > 1)
    return found
