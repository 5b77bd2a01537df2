"""Compares the rows that apply to each endpoint or thing with each other: which of them make a difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from app.policy.analysis.holders import Holders
from app.policy.analysis.terms import Atoms, RuleMeaning, TooWide, meaning_of
from app.policy.engine.expand import Key
from app.policy.engine.snapshot import Snapshot
from app.policy.language.rule import Rule

MAX_TERMS = 1_500  # that apply to one thing

# For each meaning, and each of its terms, the meanings with a term that is a subset of it.
_Within = Mapping[RuleMeaning, tuple[tuple[RuleMeaning, ...], ...]]


@dataclass(frozen=True, slots=True)
class _Analysis:
    """How meanings relate: `covering` ones do at least as much, `denying` ones deny all that an allow allows.

    `firing` are the denies that take access from a caller. None of them contains a meaning that no caller can hold.
    """

    covering: _Within
    denying: _Within
    firing: frozenset[RuleMeaning]


@dataclass(frozen=True, slots=True)
class _ThingRules:
    """The rules that apply to one thing, by meaning."""

    rules: Mapping[RuleMeaning, tuple[Rule, ...]]
    analysis: _Analysis


class Cells:
    """All things that rows apply to. `crowded` are those with too many rows to analyse, each with one of its rows."""

    def __init__(self, snapshot: Snapshot, holders: Holders) -> None:
        self._about: dict[Rule, list[_ThingRules]] = {}
        self._unknown: set[Rule] = set()
        self._meanings: dict[Rule, RuleMeaning] = {rule: meaning_of(rule) for rule in snapshot.policy.rules}
        self.crowded: dict[Key, Rule] = {}
        known: dict[frozenset[RuleMeaning], _Analysis | None] = {}
        for key, rules in snapshot.index.items():
            grouped: dict[RuleMeaning, list[Rule]] = {}
            for rule in rules:
                grouped.setdefault(self._meanings[rule], []).append(rule)
            alike = frozenset(grouped)
            if alike not in known:
                known[alike] = _analysed(alike, holders)
            analysis = known[alike]
            if analysis is None:
                self.crowded[key] = rules[0]
                self._unknown.update(rules)
                continue
            cell = _ThingRules({meaning: tuple(having) for meaning, having in grouped.items()}, analysis)
            for rule in rules:
                self._about.setdefault(rule, []).append(cell)

    def is_known(self, rule: Rule) -> bool:
        """Whether everything that a rule applies to was analysed."""
        return rule in self._about and rule not in self._unknown

    def is_held(self, rule: Rule) -> bool:
        """Whether a caller can hold what a rule needs."""
        return any(self._meanings[rule] in cell.analysis.covering for cell in self._about[rule])

    def shadowed(self) -> dict[Rule, tuple[Rule, ...]]:
        """Rules that could all be deleted without a change of any verdict, each with the rules that replace it.

        Narrow rules are dropped first, so that the wider of two equivalent rules stays, and later rules before
        earlier ones.
        """
        order = [rule for rule in reversed(self._meanings) if self.is_known(rule) and self.is_held(rule)]
        order.sort(key=lambda rule: len(self._about[rule]))
        gone: set[Rule] = set()
        for rule in order:
            if self._covering(rule, gone | {rule}):
                gone.add(rule)
        return {rule: self._covering(rule, gone) for rule in self._meanings if rule in gone}

    def always_denied_by(self, rule: Rule) -> tuple[Rule, ...]:
        """The rules that deny all that this rule allows; none if it allows something."""
        return self._all_within(rule, [cell.analysis.denying for cell in self._about[rule]], frozenset())

    def fires(self, rule: Rule) -> bool:
        """Whether a deny takes access from any caller."""
        return any(self._meanings[rule] in cell.analysis.firing for cell in self._about[rule])

    def _covering(self, rule: Rule, gone: set[Rule]) -> tuple[Rule, ...]:
        return self._all_within(rule, [cell.analysis.covering for cell in self._about[rule]], gone)

    def _all_within(self, rule: Rule, each: list[_Within], gone: set[Rule] | frozenset[Rule]) -> tuple[Rule, ...]:
        """For each term of a rule, in each cell, a covering rule that is not gone; none if a term lacks one."""
        meaning = self._meanings[rule]
        found: dict[Rule, None] = {}
        for cell, within in zip(self._about[rule], each, strict=True):
            for others in within.get(meaning, ()):
                standing = (one for other in others for one in cell.rules[other] if one not in gone)
                if (one := next(standing, None)) is None:
                    return ()
                found[one] = None
        return tuple(found)


def _analysed(meanings: frozenset[RuleMeaning], holders: Holders) -> _Analysis | None:
    """Analyse the meanings that apply to a thing; None if there are too many."""
    atoms = Atoms([(meanings, holders)])
    try:
        terms = atoms.terms(0)
    except TooWide:
        return None
    if len(terms.allows) + len(terms.denies) > MAX_TERMS:
        return None
    covering = {
        **dict(_within(terms.allows, terms.allows)),
        **dict(_within(terms.denies, terms.denies)),
    }
    firing = {
        meaning
        for deny, having in terms.denies.items()
        if any(atoms.possible(deny | allow) for allow in terms.allows)
        for meaning in having
    }
    return _Analysis(covering, dict(_within(terms.allows, terms.denies)), frozenset(firing))


def _within(
    terms: Mapping[int, list[RuleMeaning]], others: Mapping[int, list[RuleMeaning]]
) -> Iterator[tuple[RuleMeaning, tuple[tuple[RuleMeaning, ...], ...]]]:
    found: dict[RuleMeaning, list[tuple[RuleMeaning, ...]]] = {}
    subsets = _Subsets(others)
    for mask, having in terms.items():
        within = tuple(meaning for other in subsets.of(mask) for meaning in others[other])
        for meaning in having:
            found.setdefault(meaning, []).append(within)
    for meaning, each in found.items():
        yield meaning, tuple(each)


class _Subsets:
    """Finds the masks that are subsets of another one, without looking at all of them: many rows differ in one atom."""

    def __init__(self, masks: Iterable[int]) -> None:
        listed = list(enumerate(masks))
        counts = Counter(bit for _, mask in listed for bit in _low_bits(mask))
        # By the rarest bit of each, which a superset must have; without bits a mask is a subset of all.
        self._by_bit: dict[int, list[tuple[int, int]]] = {}
        for number, mask in listed:
            self._by_bit.setdefault(min(_low_bits(mask), key=lambda bit: counts[bit], default=0), []).append(
                (number, mask)
            )

    def of(self, mask: int) -> list[int]:
        """The subsets of a mask, in their order."""
        found = list(self._by_bit.get(0, ()))
        for bit in _low_bits(mask):
            found += [pair for pair in self._by_bit.get(bit, ()) if pair[1] & mask == pair[1]]
        return [other for _, other in sorted(found)]


def _low_bits(mask: int) -> Iterator[int]:
    """Each bit of a mask, as a mask."""
    while mask:
        yield (low := mask & -mask)
        mask ^= low
