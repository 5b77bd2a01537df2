"""Compares the meaning of two policies: who gains and who loses which access, however the rows are written.

For each action on each resource the callers whose verdict differs are derived from the rows, not sampled: sets of
grants that a caller can state, with roles resolved on both sides. Conditions are opaque: one that was added, removed
or edited may widen access, and is reported so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain, groupby, product

from app.policy.analysis.access_change import AccessChange, AccessDiff, Combination, ContributingRow, Kind, Side
from app.policy.analysis.holders import Holders, permitted_subjects
from app.policy.analysis.reroute import Reroute, Reroutes, TooManyPaths
from app.policy.analysis.terms import Atoms, RuleMeaning, Terms, TooWide, meanings, minimal
from app.policy.engine.expand import Key
from app.policy.engine.snapshot import Snapshot
from app.policy.gc_control import natural_order, paused_gc, sorted_in_steps
from app.policy.language.entities import Known
from app.policy.language.rule import Membership, Rule, action_order
from app.policy.language.when.read import Path
from app.policy.language.when.shape import Properties
from app.policy.routing.routes import METHODS

MAX_STEPS = 3_000_000  # for one thing, about a second
MAX_ALL_STEPS = 20_000_000
MAX_SIMPLIFIED = 1_000  # regions of one thing; beyond that, redundant regions are not removed
MAX_NAMED = 4  # alternative grants whose `g` rows are listed
ANY_METHOD = "*"  # for a removed template with too many paths

_Region = tuple[int, tuple[int, ...]]
_Rules = tuple[Mapping[RuleMeaning, Rule], Mapping[RuleMeaning, Rule]]  # of the old policy and of the new


def compare(old: Snapshot, new: Snapshot) -> AccessDiff:
    """Compare the meaning of two policies."""
    with paused_gc():
        return _Comparison(old, new).difference()


class _Comparison:
    def __init__(self, old: Snapshot, new: Snapshot) -> None:
        self._snapshots = (old, new)
        subjects = sorted(permitted_subjects(old.policy) | permitted_subjects(new.policy))
        self._holders = (Holders(old.policy, subjects), Holders(new.policy, subjects))
        self._relinked = self._holders[0].links != self._holders[1].links
        self._differing = tuple(self._differing_paths())
        self._cells: dict[tuple[frozenset[RuleMeaning], ...], _ThingChange | None] = {}
        self._same_sources: dict[str, bool] = {}
        self._steps = MAX_ALL_STEPS

    def difference(self) -> AccessDiff:
        old, new = self._snapshots
        found: dict[Key, list[AccessChange]] = {}
        unknown: list[Key] = []
        for key in chain(old.index, (key for key in new.index if key not in old.index)):
            rules = (
                meanings(old.rules_for(*key), "old", self._differing),
                meanings(new.rules_for(*key), "new", self._differing),
            )
            if rules[0].keys() == rules[1].keys() and not (self._relinked and self._is_relinked(rules[0])):
                continue
            try:
                cell = self._cell(rules)
            except TooWide:
                unknown.append(key)
                continue
            found[key] = [self._change(cell, kind, region, key, rules) for kind, region in cell.regions]
        self._add_reroutes(found, unknown)
        return AccessDiff(tuple(_ordered(found)), tuple(sorted_in_steps(unknown, natural_order)))

    def _add_reroutes(self, found: dict[Key, list[AccessChange]], unknown: list[Key]) -> None:
        """Add what changes for paths that match another template now, beyond the changes of that template's routes.

        A path that moves to an added template gains no more than that template allows, which is reported already.
        """
        reroutes = Reroutes(self._snapshots[0].table, self._snapshots[1].table)
        removed = frozenset(reroutes.removed)
        for template in (*reroutes.removed, *reroutes.added):
            try:
                every = reroutes.of(template)
            except TooManyPaths:
                if template in removed:
                    unknown.append((template, ANY_METHOD))
                continue
            for reroute, action in product(every, METHODS):
                key = (reroute.path, action)
                try:
                    changes = [*self._rerouted(reroute, action)]
                except TooWide:
                    unknown.append(key)
                    continue
                if changes:
                    found[key] = list(dict.fromkeys([*found.get(key, ()), *changes]))

    def _rerouted(self, reroute: Reroute, action: str) -> Iterator[AccessChange]:
        """What a method gains and loses on a path. Raises TooWide."""
        old, new = self._snapshots
        sides = ((old, reroute.was, "old"), (new, reroute.now, "new"))
        kinds: set[Kind] = set()
        if reroute.now and (reroute.now, action) in old.index and (reroute.now, action) in new.index:
            kinds.add("gain")
        if reroute.was and (reroute.was, action) in old.index and (reroute.was, action) in new.index:
            kinds.add("loss")
        if not kinds:
            return
        before, after = (
            meanings(snapshot.rules_for(template, action) if template else (), side, (*self._differing, *_OF_TEMPLATE))
            for snapshot, template, side in sides
        )
        if before.keys() == after.keys() and not (self._relinked and self._is_relinked(before)):
            return
        cell = self._cell((before, after))
        for kind, region in cell.regions:
            if kind in kinds:
                change = self._change(cell, kind, region, (reroute.path, action), (before, after))
                yield replace(change, reroute=reroute)

    def _differing_paths(self) -> Iterator[Path]:
        """The variables of conditions that differ between the two policies."""
        old, new = (snapshot.policy.entities for snapshot in self._snapshots)
        if self._relinked:
            yield "subject", "permissions"
        if _properties(old.subjects) != _properties(new.subjects):
            yield "subject", "properties"
        if _properties(old.resources) != _properties(new.resources):
            yield "resource", "properties"

    def _cell(self, rules: _Rules) -> _ThingChange:
        """The change for things with rules of these meanings. Raises TooWide."""
        alike = (frozenset(rules[0]), frozenset(rules[1]))
        if alike not in self._cells:
            try:
                cell = _ThingChange(rules, self._holders, min(MAX_STEPS, self._steps))
                self._steps -= cell.steps
                self._cells[alike] = cell
            except TooWide:
                self._cells[alike] = None
        known = self._cells[alike]
        if known is None:
            raise TooWide
        return known

    def _is_relinked(self, meanings: Iterable[RuleMeaning]) -> bool:
        """Whether roles lead to the needs of some meanings in another way than before."""
        return not all(map(self._has_same_sources, {need for meaning in meanings for need in meaning.needs}))

    def _has_same_sources(self, need: str) -> bool:
        same = self._same_sources.get(need)
        if same is None:
            old, new = self._holders
            same = old.sources(need) == new.sources(need)
            self._same_sources[need] = same
        return same

    def _change(
        self,
        cell: _ThingChange,
        kind: Kind,
        region: _Region,
        key: Key,
        rules: _Rules,
    ) -> AccessChange:
        who, unless = region
        behind = tuple(self._contributing_rows(cell, kind, region, rules))
        return AccessChange(
            kind, key[0], (key[1],), cell.combination(who), tuple(map(cell.combination, unless)), behind
        )

    def _contributing_rows(
        self,
        cell: _ThingChange,
        kind: Kind,
        region: _Region,
        rules: _Rules,
    ) -> Iterator[ContributingRow]:
        """The rows that cause a change: those of only one policy or, if a role changed, those that it leads to."""
        who, unless = region
        was, now = (0, 1) if kind == "gain" else (1, 0)
        causes = [(now, meaning) for meaning in cell.within(now, who, "allow")]
        causes += [(was, meaning) for meaning in cell.within(was, who, "deny")]
        causes += [(was, meaning) for meaning in cell.beyond(was, who, unless, "allow") if meaning not in rules[now]]
        causes += [(now, meaning) for meaning in cell.beyond(now, who, unless, "deny") if meaning not in rules[was]]
        stated = [grant for group in cell.atoms.held(who) for grant in group[:MAX_NAMED]]
        found = [
            ContributingRow(_SIDES[side], rules[side][meaning])
            for side, meaning in causes
            if meaning not in rules[1 - side]
        ]
        links = [
            ContributingRow(_SIDES[side], row)
            for side, meaning in causes
            for need in sorted(meaning.needs)
            for grant in stated
            for row in self._holders[side].way((grant,), need)
        ]
        news = [link for link in links if not self._is_shared(link)]
        if not found:
            # The rows are the same; only the roles that lead to them changed.
            found = [ContributingRow(_SIDES[side], rules[side][meaning]) for side, meaning in causes]
        yield from dict.fromkeys([*found, *news])

    def _is_shared(self, link: ContributingRow) -> bool:
        row = link.row
        return isinstance(row, Membership) and all((row.member, row.grant) in side.links for side in self._holders)


def _properties(known: Known) -> dict[tuple[str, str], Properties]:
    return {key: entity.properties for key, entity in known.items()}


# These variables depend on the template that a path matches.
_OF_TEMPLATE: tuple[Path, ...] = (("params",), ("resource",))
_SIDES: tuple[Side, Side] = ("old", "new")


class _ThingChange:
    """The change for all things with rules of the same meanings."""

    def __init__(
        self,
        rules: _Rules,
        holders: tuple[Holders, Holders],
        max_steps: int,
    ) -> None:
        self.steps = 0
        self._max_steps = max_steps
        self.atoms = Atoms(tuple(zip(rules, holders, strict=True)))
        self._terms = (self.atoms.terms(0), self.atoms.terms(1))
        self.regions: list[tuple[Kind, _Region]] = [
            *(("gain", region) for region in self._opened(*self._terms)),
            *(("loss", region) for region in self._opened(*reversed(self._terms))),
        ]

    def combination(self, mask: int) -> Combination:
        """The set of callers that a mask stands for."""
        conditions = list(self.atoms.conditions(mask))
        return Combination(
            tuple(self.atoms.held(mask)),
            tuple(when for when, met in conditions if met),
            tuple(when for when, met in conditions if not met),
        )

    def within(self, side: int, who: int, effect: str) -> Iterator[RuleMeaning]:
        """The meanings of one policy that apply to all of a region."""
        for mask, found in self._of(side, effect):
            if mask & who == mask:
                yield from found

    def beyond(self, side: int, who: int, unless: tuple[int, ...], effect: str) -> Iterator[RuleMeaning]:
        """The meanings of one policy that bound a region."""
        for mask, found in self._of(side, effect):
            if mask & ~who in unless and (mask & who or not who):
                yield from found

    def _of(self, side: int, effect: str) -> Iterable[tuple[int, list[RuleMeaning]]]:
        terms = self._terms[side]
        return (terms.allows if effect == "allow" else terms.denies).items()

    def _opened(self, was: Terms, now: Terms) -> list[_Region]:
        """Regions whose union is exactly what `now` allows and `was` did not. Raises TooWide.

        Allowed now: a term of an allow, and no term of a deny. Not allowed then: no term of an allow, or a term of
        a deny.
        """
        came = [allow for allow in now.allows if allow not in was.allows]
        freed = [deny for deny in was.denies if deny not in now.denies]
        self.steps += (len(came) + len(now.allows) * len(freed)) * (1 + len(now.denies) + len(was.allows))
        if self.steps > self._max_steps:
            raise TooWide
        found: list[_Region] = []
        for allow in came:
            found += self._region(allow, [*now.denies, *was.allows])
        for allow in now.allows:
            for deny in freed:
                found += self._region(allow | deny, now.denies)
        return _simplify(found) if len(found) <= MAX_SIMPLIFIED else found

    def _region(self, who: int, bounds: Iterable[int]) -> Iterator[_Region]:
        """The callers with a mask and none of the bounds, if there can be any."""
        if not self.atoms.possible(who):
            return
        rest = [bound & ~who for bound in bounds if self.atoms.possible(bound | who)]
        if 0 not in rest:
            yield who, tuple(minimal(set(rest)))


def _simplify(regions: list[_Region]) -> list[_Region]:
    """Remove the regions that lie within another."""
    kept: list[_Region] = []
    for region in sorted(set(regions), key=lambda each: (each[0].bit_count(), len(each[1]))):
        if not any(_lies_within(region, other) for other in kept):
            kept.append(region)
    return kept


def _lies_within(inner: _Region, outer: _Region) -> bool:
    who, unless = inner
    if outer[0] & who != outer[0]:
        return False
    return all(any(mine & ~(other | who) == 0 for mine in unless) for other in outer[1])


def _ordered(found: Mapping[Key, list[AccessChange]]) -> Iterator[AccessChange]:
    """Sort gains first, and merge equal changes of one resource."""
    keys = list(sorted_in_steps(found, natural_order))
    for kind in ("gain", "loss"):
        for _, group in groupby(keys, key=lambda key: key[0]):
            together: dict[AccessChange, list[str]] = {}
            for key in group:
                for change in found[key]:
                    if change.kind == kind:
                        together.setdefault(replace(change, actions=()), []).append(key[1])
            for change, actions in together.items():
                yield replace(change, actions=tuple(sorted(actions, key=action_order)))
