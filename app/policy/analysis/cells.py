"""Compares the rows that apply to each endpoint or thing with each other: which of them make a difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain

from app.policy.analysis.holders import Holders
from app.policy.analysis.terms import Atoms, RuleMeaning, TooWide, meaning_of
from app.policy.engine.rule_index import Key
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


@dataclass(slots=True, eq=False)
class _AnalysedRule:
    """A rule, what it means, and the things that it applies to.

    `is_partial`: not everything that it applies to was analysed. `is_gone`: other rules do all that it does.
    """

    rule: Rule
    meaning: RuleMeaning
    things: list[_ThingRules] = field(default_factory=list)
    is_partial: bool = False
    is_gone: bool = False

    @property
    def is_known(self) -> bool:
        """Whether everything that it applies to was analysed."""
        return bool(self.things) and not self.is_partial

    @property
    def is_held(self) -> bool:
        """Whether a caller can hold what it needs."""
        return any(self.meaning in thing.analysis.covering for thing in self.things)


@dataclass(frozen=True, slots=True)
class _ThingRules:
    """The rules that apply to one thing, by meaning."""

    rules: Mapping[RuleMeaning, list[_AnalysedRule]]
    analysis: _Analysis


class KnownAnalyses:
    """The analyses of the last policy, for one that differs in a few rows: they depend on meanings and `g` rows."""

    def __init__(self) -> None:
        self._links: frozenset[tuple[str, str]] = frozenset()
        self._known: Mapping[frozenset[RuleMeaning], _Analysis | None] = {}

    def of(self, holders: Holders) -> Mapping[frozenset[RuleMeaning], _Analysis | None]:
        """The analyses that are valid for a policy with these holders."""
        return self._known if holders.links == self._links else {}

    def keep(self, holders: Holders, known: Mapping[frozenset[RuleMeaning], _Analysis | None]) -> None:
        """Keep the analyses of a policy in place of those before."""
        self._links, self._known = holders.links, known


class Cells:
    """All things that rows apply to. `crowded` are those with too many rows to analyse, each with one of its rows."""

    def __init__(self, snapshot: Snapshot, holders: Holders, before: KnownAnalyses) -> None:
        # A rule is looked up once for each thing: the hash of a rule takes longer than all else here.
        self._rules = {rule: _AnalysedRule(rule, meaning_of(rule)) for rule in snapshot.policy.rules}
        self._variants: dict[Rule, _AnalysedRule] = {}
        self.crowded: dict[Key, Rule] = {}
        known: dict[frozenset[RuleMeaning], _Analysis | None] = {}
        last = before.of(holders)
        for key, rules in snapshot.index.items():
            each = [self._rules.get(rule) or self._variant(rule) for rule in rules]
            grouped: dict[RuleMeaning, list[_AnalysedRule]] = {}
            for one in each:
                grouped.setdefault(one.meaning, []).append(one)
            alike = frozenset(grouped)
            if alike not in known:
                known[alike] = last[alike] if alike in last else _analysed(alike, holders)
            analysis = known[alike]
            if analysis is None:
                self.crowded[key] = rules[0]
                for one in each:
                    one.is_partial = True
                continue
            thing = _ThingRules(grouped, analysis)
            for one in each:
                one.things.append(thing)
        before.keep(holders, known)

    def free(self) -> None:
        """Break the cycles of rules and things: the garbage collector would stop all threads to free them."""
        for one in chain(self._rules.values(), self._variants.values()):
            one.things.clear()

    @cached_property
    def _by_place(self) -> Mapping[str, _AnalysedRule]:
        return {one.rule.place: one for one in self._rules.values()}

    def _variant(self, rule: Rule) -> _AnalysedRule:
        """A rule that means something else for an implied HEAD. Nothing is found about the row, which is both."""
        self._by_place[rule.place].is_partial = True
        return self._variants.setdefault(rule, _AnalysedRule(rule, meaning_of(rule)))

    def is_known(self, rule: Rule) -> bool:
        """Whether everything that a rule applies to was analysed."""
        return self._rules[rule].is_known

    def is_held(self, rule: Rule) -> bool:
        """Whether a caller can hold what a rule needs."""
        return self._rules[rule].is_held

    def shadowed(self) -> dict[Rule, tuple[Rule, ...]]:
        """Rules that could all be deleted without a change of any verdict, each with the rules that replace it.

        Narrow rules are dropped first, so that the wider of two equivalent rules stays, and later rules before
        earlier ones.
        """
        order = [one for one in reversed(self._rules.values()) if one.is_known and one.is_held]
        order.sort(key=lambda one: len(one.things))
        for one in order:
            one.is_gone = True
            one.is_gone = bool(_covering(one))
        return {one.rule: _covering(one) for one in self._rules.values() if one.is_gone}

    def always_denied_by(self, rule: Rule) -> tuple[Rule, ...]:
        """The rules that deny all that this rule allows; none if it allows something."""
        one = self._rules[rule]
        return _all_within(one, [thing.analysis.denying for thing in one.things], with_gone=True)

    def fires(self, rule: Rule) -> bool:
        """Whether a deny takes access from any caller."""
        one = self._rules[rule]
        return any(one.meaning in thing.analysis.firing for thing in one.things)


def _covering(one: _AnalysedRule) -> tuple[Rule, ...]:
    """Rules that are not gone and do all that a rule does."""
    return _all_within(one, [thing.analysis.covering for thing in one.things], with_gone=False)


def _all_within(one: _AnalysedRule, each: list[_Within], *, with_gone: bool) -> tuple[Rule, ...]:
    """For each term of a rule, in each thing, a covering rule; none if a term lacks one."""
    found: dict[Rule, None] = {}
    for thing, within in zip(one.things, each, strict=True):
        for others in within.get(one.meaning, ()):
            standing = (rule for meaning in others for rule in thing.rules[meaning] if with_gone or not rule.is_gone)
            if (covering := next(standing, None)) is None:
                return ()
            found[covering.rule] = None
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
