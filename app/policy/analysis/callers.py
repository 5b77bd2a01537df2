"""Kinds of callers whose access two policies are compared for: users, keys and anonymous callers, or apps of users."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple, Protocol

from app.identity.app_facts import APP_FACTS, APP_METHOD
from app.identity.principal import ANYONE, CONSENTED, ON_BEHALF
from app.policy.analysis.holders import SUBJECT, GrantHolders, Holders, permitted_subjects
from app.policy.analysis.terms import MAX_TERMS, Atoms, RuleMeaning, Terms, TooWide, meaning_of, meanings
from app.policy.engine.snapshot import Snapshot
from app.policy.language.ask_rows import is_ask_row
from app.policy.language.roles import close
from app.policy.language.rule import Membership, Rule
from app.policy.language.when.read import Path

MAX_CLASSES = 200  # of apps that the policies treat differently
_NOT_OF_USER = ("auth:", "env:", "key:", SUBJECT, *APP_FACTS)
_PERMISSIONS: Path = ("subject", "permissions")


class Callers(Protocol):
    """A kind of callers: how they hold grants under the old and the new policy, and what rules mean for them."""

    @property
    def holders(self) -> tuple[GrantHolders, GrantHolders]:
        """How they obtain grants under the old policy and under the new."""

    @property
    def apps(self) -> tuple[AppPattern, ...]:
        """The apps that they are; none if they are no apps."""

    def meanings(self, rules: Iterable[Rule], side: str, differing: Collection[Path]) -> dict[RuleMeaning, Rule]:
        """The distinct meanings of rules, each with the first rule that has it."""

    def terms(self, atoms: Atoms, side: int) -> Terms:
        """The terms that allow and that deny. Raises TooWide."""

    def may_be_allowed(self, rules: Iterable[Rule], side: int) -> bool:
        """Whether one of the rules may allow it to such a caller; a quick test that may be wrong if it is true."""


class AppPattern(NamedTuple):
    """Apps that hold these facts and not those; of the facts that neither names they may hold any."""

    holds: frozenset[str]
    lacks: frozenset[str]


@dataclass(frozen=True, slots=True)
class DirectCallers:
    """All callers that are no apps."""

    holders: tuple[Holders, Holders]
    apps: tuple[AppPattern, ...] = ()

    def meanings(self, rules: Iterable[Rule], side: str, differing: Collection[Path]) -> dict[RuleMeaning, Rule]:
        """The distinct meanings of rules."""
        return meanings(rules, side, differing)

    def terms(self, atoms: Atoms, side: int) -> Terms:
        """The terms that allow and that deny. Raises TooWide."""
        return atoms.terms(side)

    def may_be_allowed(self, rules: Iterable[Rule], side: int) -> bool:
        """Whether one of the rules may allow it to such a caller."""
        return True


def direct_callers(old: Snapshot, new: Snapshot) -> DirectCallers:
    """The callers that are no apps. They include the subjects of AuthZEN requests that have permissions."""
    subjects = sorted(permitted_subjects(old.policy) | permitted_subjects(new.policy))
    return DirectCallers((Holders(old.policy, subjects, of_apps=False), Holders(new.policy, subjects, of_apps=False)))


class AppHolders:
    """How the apps of one class, and their users, obtain grants under one policy.

    A grant of the app is marked as consented, one of the user as on behalf: what they need, and what they state.
    """

    def __init__(self, holders: Holders, everyones: frozenset[str], askable: frozenset[str]) -> None:
        self._holders = holders
        self._askable = askable
        self._openings: dict[frozenset[str], bool] = {}
        self.everyones = frozenset(mark + grant for grant in everyones for mark in (CONSENTED, ON_BEHALF))
        self.links = holders.links | {(CONSENTED, scope) for scope in askable} | {("", fact) for fact in everyones}

    def sources(self, grant: str) -> frozenset[str]:
        """The scopes, or the grants of a user, that lead to a grant of their side."""
        mark, plain = _split(grant)
        found = self._holders.sources(plain)
        if mark == CONSENTED:
            return frozenset(mark + scope for scope in found & self._askable)
        return frozenset(mark + each for each in found if each != ANYONE and not each.startswith(_NOT_OF_USER))

    def app_can_hold(self, needs: frozenset[str]) -> bool:
        """Whether the app can hold each of these grants."""
        known = self._openings.get(needs)
        if known is None:
            marked = (CONSENTED + need for need in needs)
            known = self._openings[needs] = all(need in self.everyones or self.sources(need) for need in marked)
        return known

    def way(self, stated: Iterable[str], grant: str) -> tuple[Membership, ...]:
        """The shortest chain of `g` rows from one of the stated grants to this one."""
        mark, plain = _split(grant)
        own = [each.removeprefix(mark) for each in stated if each.startswith(mark)]
        return self._holders.way(own, plain) if own else ()


@dataclass(frozen=True, slots=True)
class AppCallers:
    """Apps that both policies treat alike, each on behalf of any user. `scopes` are those that they may ask for."""

    apps: tuple[AppPattern, ...]
    holders: tuple[AppHolders, AppHolders]
    scopes: tuple[frozenset[str], frozenset[str]]

    def meanings(self, rules: Iterable[Rule], side: str, differing: Collection[Path]) -> dict[RuleMeaning, Rule]:
        """The distinct meanings of rules for the app, and for the user."""
        found: dict[RuleMeaning, Rule] = {}
        for rule in rules:
            plain = meaning_of(rule, side, differing)
            for mark, name in ((CONSENTED, "app"), (ON_BEHALF, "user")):
                when = plain.when
                if (
                    rule.condition
                    and when
                    and any(read.path[:2] == _PERMISSIONS for read in rule.condition.reads.values())
                ):
                    when = when._replace(side=f"{name} {when.side}".strip())
                needs = frozenset(mark + need for need in rule.needs)
                found.setdefault(RuleMeaning(needs, rule.effect, when), rule)
        return found

    def terms(self, atoms: Atoms, side: int) -> Terms:
        """The terms that allow both, and those that deny either. Raises TooWide."""
        each = atoms.terms(side)
        apps: dict[int, list[RuleMeaning]] = {}
        users: dict[int, list[RuleMeaning]] = {}
        for mask, having in each.allows.items():
            for meaning in having:
                into = apps if _is_of_app(meaning) else users
                into.setdefault(mask, []).append(meaning)
        if len(apps) * len(users) > MAX_TERMS:
            raise TooWide
        both: dict[int, list[RuleMeaning]] = {}
        for (app, by_app), (user, by_user) in product(apps.items(), users.items()):
            if atoms.possible(app | user):
                both.setdefault(app | user, []).extend((*by_app, *by_user))
        return Terms(both, each.denies)

    def may_be_allowed(self, rules: Iterable[Rule], side: int) -> bool:
        """Whether one of the rules may allow it to the app."""
        holders = self.holders[side]
        return any(rule.effect == "allow" and holders.app_can_hold(rule.needs) for rule in rules)


class TooManyClasses(Exception):
    """There are too many classes of apps to compare."""


def app_callers(old: Snapshot, new: Snapshot) -> list[AppCallers]:
    """The classes of apps that the policies treat differently. Raises TooManyClasses."""
    snapshots = (old, new)
    named = [_facts(snapshot) for snapshot in snapshots]
    choices = [sorted(fact for fact in named[0] | named[1] if fact.startswith(family)) for family in APP_FACTS]
    count = 1
    for facts in choices:
        count *= len(facts) + 1
    if count > MAX_CLASSES * MAX_CLASSES:
        raise TooManyClasses
    # Facts that only rows about scopes name make no difference beyond these scopes.
    needed = frozenset(fact for snapshot in snapshots for fact in _facts(snapshot, of_scopes=False))
    alike: dict[tuple[frozenset[str], ...], list[AppPattern]] = {}
    for chosen in product(*([None, *facts] for facts in choices)):
        holds = frozenset(fact for fact in chosen if fact)
        lacks = frozenset(fact for one, facts in zip(chosen, choices, strict=True) if not one for fact in facts)
        stated = holds | {ANYONE, APP_METHOD}
        scopes = [
            frozenset(scope for scope in snapshot.policy.catalog if snapshot.may_ask(stated, scope))
            for snapshot in snapshots
        ]
        alike.setdefault((*scopes, holds & needed), []).append(AppPattern(holds, lacks))
    if len(alike) > MAX_CLASSES:
        raise TooManyClasses
    holders = [Holders(snapshot.policy) for snapshot in snapshots]
    return [
        AppCallers(
            merged(patterns, choices),
            (_holders(old, holders[0], facts, of_old), _holders(new, holders[1], facts, of_new)),
            (of_old, of_new),
        )
        for (of_old, of_new, facts), patterns in alike.items()
    ]


def merged(patterns: Iterable[AppPattern], choices: Iterable[Collection[str]]) -> tuple[AppPattern, ...]:
    """The same apps in fewer patterns: where every fact of a family is there, and none of them, it does not matter."""
    found = list(dict.fromkeys(patterns))
    for facts in map(frozenset, choices):
        groups: dict[AppPattern, list[AppPattern]] = {}
        for pattern in found:
            groups.setdefault(AppPattern(pattern.holds - facts, pattern.lacks - facts), []).append(pattern)
        found = [each for rest, group in groups.items() for each in ([rest] if len(group) > len(facts) else group)]
    return tuple(found)


def _holders(snapshot: Snapshot, holders: Holders, facts: frozenset[str], askable: frozenset[str]) -> AppHolders:
    return AppHolders(holders, close((*facts, ANYONE, APP_METHOD), snapshot.policy.roles), askable)


def _facts(snapshot: Snapshot, *, of_scopes: bool = True) -> frozenset[str]:
    """The facts of apps that rows name."""
    rules = (rule for rule in snapshot.policy.rules if of_scopes or not is_ask_row(rule.resource))
    named = {grant for needs in {rule.needs for rule in rules} for grant in needs}
    named.update(row.member for row in snapshot.policy.memberships)
    return frozenset(grant for grant in named if grant.startswith(APP_FACTS))


def _split(grant: str) -> tuple[str, str]:
    mark = CONSENTED if grant.startswith(CONSENTED) else ON_BEHALF
    return mark, grant.removeprefix(mark)


def _is_of_app(meaning: RuleMeaning) -> bool:
    return any(need.startswith(CONSENTED) for need in meaning.needs)
