"""The rules of one thing under two policies, in common terms: which grants must be held and which conditions met.

Stated grants that lead to the same needs under both policies are interchangeable: they form one atom, held by callers
who state any of them. Each condition forms two atoms, `met` and `not unmet`, since an unknown condition denies and
does not allow. A row is a set of alternative terms, each a set of atoms. Sets are bit masks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import product
from math import prod
from operator import or_
from typing import NamedTuple

from app.identity.principal import is_fact
from app.policy.analysis.holders import GrantHolders, Ways, can_be_combined, ways
from app.policy.language.rule import Effect, Rule
from app.policy.language.when.read import Path

MAX_TERMS = 10_000


class TooWide(Exception):
    """There are too many combinations to compare."""


class When(NamedTuple):
    """A condition by its text. `side` distinguishes equal texts whose outcomes may differ between the policies."""

    text: str
    side: str = ""


class RuleMeaning(NamedTuple):
    """What a rule means for a thing that it applies to; rules with the same meaning are equivalent."""

    needs: frozenset[str]
    effect: Effect
    when: When | None


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms that allow and that deny under one policy, each with the meanings that have it."""

    allows: dict[int, list[RuleMeaning]] = field(default_factory=dict)
    denies: dict[int, list[RuleMeaning]] = field(default_factory=dict)


class Atoms:
    """The atoms of two sets of meanings, numbered."""

    def __init__(self, sides: Sequence[tuple[Iterable[RuleMeaning], GrantHolders]]) -> None:
        self._sides = [(tuple(meanings), holders) for meanings, holders in sides]
        self.any_of: list[tuple[str, ...]] = []
        self.whens: dict[When, int] = {}
        self._by_need: dict[tuple[int, str], list[int]] = {}
        self._ways: list[Ways] = []
        self._bound = 0  # the atoms that not every caller can have
        self._possible: dict[int, bool] = {}
        self._number()

    def terms(self, side: int) -> Terms:
        """The terms under one policy, without those that no caller can hold. Raises TooWide."""
        terms = Terms()
        meanings, holders = self._sides[side]
        for meaning in meanings:
            into = terms.allows if meaning.effect == "allow" else terms.denies
            for mask in self._masks(side, meaning, holders):
                into.setdefault(mask, []).append(meaning)
            if len(into) > MAX_TERMS:
                raise TooWide
        return terms

    def possible(self, mask: int) -> bool:
        """Whether one caller can hold all atoms of a mask."""
        bound = mask & self._bound
        if bound.bit_count() < 2:
            return True
        known = self._possible.get(bound)
        if known is None:
            known = self._possible[bound] = can_be_combined(self._ways[number] for number in _bits(bound))
        return known

    def held(self, mask: int) -> Iterator[tuple[str, ...]]:
        """The alternative grants of each atom of a mask."""
        return (self.any_of[number] for number in _bits(mask) if number < len(self.any_of))

    def conditions(self, mask: int) -> Iterator[tuple[When, bool]]:
        """Each condition of a mask, with True if it must be met, False if it must not be unmet."""
        for when, bit in self.whens.items():
            if mask & bit:
                yield when, True
            elif mask & bit << 1:
                yield when, False

    def _number(self) -> None:
        leads: dict[str, list[tuple[int, str]]] = {}
        for side, (meanings, holders) in enumerate(self._sides):
            for need in sorted({need for meaning in meanings for need in meaning.needs} - holders.everyones):
                self._by_need[side, need] = []
                for source in holders.sources(need):
                    leads.setdefault(source, []).append((side, need))
        alike: dict[tuple[tuple[int, str], ...], list[str]] = {}
        for source, needs in leads.items():
            alike.setdefault(tuple(needs), []).append(source)
        for led_to, sources in sorted(alike.items()):
            number = len(self.any_of)
            by_ways = ways(sources, [need for _, need in led_to])
            self.any_of.append(tuple(sorted(sources, key=lambda grant: (is_fact(grant), grant))))
            self._ways.append(by_ways)
            self._bound |= 0 if by_ways is None else 1 << number
            for side_and_need in led_to:
                self._by_need[side_and_need].append(1 << number)
        whens = dict.fromkeys(meaning.when for meanings, _ in self._sides for meaning in meanings if meaning.when)
        self.whens.update((when, 1 << len(self.any_of) + 2 * number) for number, when in enumerate(whens))

    def _masks(self, side: int, meaning: RuleMeaning, holders: GrantHolders) -> Iterator[int]:
        choices = [self._by_need[side, need] for need in sorted(meaning.needs - holders.everyones)]
        if prod(map(len, choices)) > MAX_TERMS:
            raise TooWide
        met = self.whens[meaning.when] if meaning.when else 0
        condition = met << 1 if meaning.effect == "deny" else met | met << 1
        for mask in minimal({reduce(or_, chosen, condition) for chosen in product(*choices)}):
            if self.possible(mask):
                yield mask


def meaning_of(rule: Rule, side: str = "", differing: Collection[Path] = ()) -> RuleMeaning:
    """The meaning of a rule. `side` distinguishes it from one in the other policy if its condition reads a variable
    that is `differing` between the two, such as `("subject", "permissions")`, since its outcome may differ."""
    when = None
    if rule.condition:
        separates = any(_overlap(read.path, path) for read in rule.condition.reads.values() for path in differing)
        when = When(rule.condition.text, side if separates else "")
    return RuleMeaning(rule.needs, rule.effect, when)


def meanings(rules: Iterable[Rule], side: str = "", differing: Collection[Path] = ()) -> dict[RuleMeaning, Rule]:
    """The distinct meanings of rules, each with the first rule that has it."""
    found: dict[RuleMeaning, Rule] = {}
    for rule in rules:
        found.setdefault(meaning_of(rule, side, differing), rule)
    return found


def _overlap(left: Path, right: Path) -> bool:
    """Whether one path is a prefix of the other."""
    shared = min(len(left), len(right))
    return left[:shared] == right[:shared]


def minimal(masks: Iterable[int]) -> list[int]:
    """The masks that contain none of the others, smallest first."""
    kept: list[int] = []
    for mask in sorted(masks, key=int.bit_count):
        if not any(small & mask == small for small in kept):
            kept.append(mask)
    return kept


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
