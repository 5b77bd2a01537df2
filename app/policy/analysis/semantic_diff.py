"""Compares the meaning of two policies: who gains and who loses which access, however the rows are written.

For each action on each resource the callers whose verdict differs are derived from the rows, not sampled: sets of
grants that a caller can state, with roles resolved on both sides. Conditions are opaque: one that was added, removed
or edited may widen access, and is reported so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, groupby, product

from app.policy.analysis.access_change import AccessChange, AccessDiff, ContributingRow, Kind, Side, issuer_changes
from app.policy.analysis.app_changes import (
    keys_about_apps,
    merge_apps,
    rows_about_scopes,
    scope_changes,
    without_implied_changes,
)
from app.policy.analysis.callers import Callers, TooManyClasses, app_callers, direct_callers
from app.policy.analysis.reroute import Reroute, Reroutes, TooManyPaths
from app.policy.analysis.terms import RuleMeaning, TooWide
from app.policy.analysis.thing_change import Region, RulesOfSides, ThingChange
from app.policy.engine.rule_index import Key
from app.policy.engine.snapshot import Snapshot
from app.policy.gc_control import natural_order, paused_gc, sorted_in_steps
from app.policy.language.ask_rows import is_ask_row
from app.policy.language.entities import Known
from app.policy.language.rule import ASK, Membership, action_order
from app.policy.language.when.read import Path
from app.policy.language.when.shape import Properties
from app.policy.routing.routes import METHODS

MAX_STEPS = 3_000_000  # for one thing, about a second
MAX_ALL_STEPS = 20_000_000
MAX_NAMED = 4  # alternative grants whose `g` rows are listed
ANY_METHOD = "*"  # for a removed template with too many paths

_Found = dict[Key, list[AccessChange]]
_TemplateReroutes = tuple[str, bool, tuple[Reroute, ...] | None]


def compare(old: Snapshot, new: Snapshot, *, with_implied: bool = False) -> AccessDiff:
    """Compare the meaning of two policies.

    Changes for apps on behalf of users are left out where callers that are no apps gain or lose the same by the same
    grants, unless `with_implied`.
    """
    if old.revision == new.revision and old.table is new.table:
        return AccessDiff(())
    with paused_gc():
        every = dict.fromkeys(chain(old.index, new.index))
        changed = tuple(key for key in every if _plain_meanings(old, key) != _plain_meanings(new, key))
        shared = _Shared(tuple(_reroutes(old, new)), tuple(every), changed)
        found: _Found = {}
        unknown: dict[Key, None] = {}
        _Comparison(old, new, direct_callers(old, new), shared).add_to(found, unknown)
        of_apps: _Found = {}
        try:
            for callers in app_callers(old, new):
                _Comparison(old, new, callers, shared).add_to(of_apps, unknown)
                for change in scope_changes((old, new), callers):
                    of_apps.setdefault((change.resource, ASK), []).append(change)
        except TooManyClasses:
            unknown.update(dict.fromkeys(keys_about_apps((old, new))))
        for key, changes in of_apps.items():
            direct = found.setdefault(key, [])
            together = merge_apps(changes, (old, new))
            direct += together if with_implied else without_implied_changes(together, tuple(direct))
        issuers = issuer_changes(old.policy.issuers, new.policy.issuers)
        return AccessDiff(tuple(_ordered(found)), tuple(sorted_in_steps(unknown, natural_order)), issuers)


@dataclass(slots=True)
class _Shared:
    """What the comparisons for all kinds of callers have in common.

    `keys` are all keys, `changed` those whose rules differ. `steps` are those that are left.
    """

    reroutes: tuple[_TemplateReroutes, ...]
    keys: tuple[Key, ...]
    changed: tuple[Key, ...]
    steps: int = MAX_ALL_STEPS


def _reroutes(old: Snapshot, new: Snapshot) -> Iterator[_TemplateReroutes]:
    """For each template that was removed or added, the paths that match another one now; None if too many."""
    reroutes = Reroutes(old.table, new.table)
    removed = frozenset(reroutes.removed)
    for template in (*reroutes.removed, *reroutes.added):
        try:
            yield template, template in removed, reroutes.of(template)
        except TooManyPaths:
            yield template, template in removed, None


class _Comparison:
    def __init__(self, old: Snapshot, new: Snapshot, callers: Callers, shared: _Shared) -> None:
        self._snapshots = (old, new)
        self._callers = callers
        self._holders = callers.holders
        self._relinked = self._holders[0].links != self._holders[1].links
        self._differing = tuple(self._differing_paths())
        self._cells: dict[tuple[frozenset[RuleMeaning], ...], ThingChange | None] = {}
        self._same_sources: dict[str, bool] = {}
        self._shared = shared

    def add_to(self, found: _Found, unknown: dict[Key, None]) -> None:
        """Add the changes for these callers, and the keys whose rules have too many combinations."""
        old, new = self._snapshots
        # With the same roles and entities, only rules can make a difference.
        for key in self._shared.keys if self._relinked or self._differing else self._shared.changed:
            if key[1] == ASK and is_ask_row(key[0]):
                continue
            before, after = old.rules_for(*key), new.rules_for(*key)
            if not (self._callers.may_be_allowed(before, 0) or self._callers.may_be_allowed(after, 1)):
                continue
            rules = (
                self._callers.meanings(before, "old", self._differing),
                self._callers.meanings(after, "new", self._differing),
            )
            if rules[0].keys() == rules[1].keys() and not (self._relinked and self._is_relinked(rules[0])):
                continue
            try:
                cell = self._cell(rules)
            except TooWide:
                unknown[key] = None
                continue
            if cell.regions:
                found.setdefault(key, []).extend(
                    self._change(cell, kind, region, key, rules) for kind, region in cell.regions
                )
        self._add_reroutes(found, unknown)

    def _add_reroutes(self, found: _Found, unknown: dict[Key, None]) -> None:
        """Add what changes for paths that match another template now, beyond the changes of that template's routes.

        A path that moves to an added template gains no more than that template allows, which is reported already.
        """
        for template, is_removed, every in self._shared.reroutes:
            if every is None:
                if is_removed:
                    unknown[template, ANY_METHOD] = None
                continue
            for reroute, action in product(every, METHODS):
                key = (reroute.path, action)
                try:
                    changes = [*self._rerouted(reroute, action)]
                except TooWide:
                    unknown[key] = None
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
            self._callers.meanings(
                snapshot.rules_for(template, action) if template else (), side, (*self._differing, *_OF_TEMPLATE)
            )
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

    def _cell(self, rules: RulesOfSides) -> ThingChange:
        """The change for things with rules of these meanings. Raises TooWide."""
        alike = (frozenset(rules[0]), frozenset(rules[1]))
        if alike not in self._cells:
            try:
                cell = ThingChange(rules, self._callers, min(MAX_STEPS, self._shared.steps))
                self._shared.steps -= cell.steps
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
            same = old.sources(need) == new.sources(need) and (need in old.everyones) is (need in new.everyones)
            self._same_sources[need] = same
        return same

    def _change(
        self,
        cell: ThingChange,
        kind: Kind,
        region: Region,
        key: Key,
        rules: RulesOfSides,
    ) -> AccessChange:
        who, unless = region
        behind = tuple(self._contributing_rows(cell, kind, region, rules))
        return AccessChange(
            kind,
            key[0],
            (key[1],),
            cell.combination(who),
            tuple(map(cell.combination, unless)),
            behind,
            apps=self._callers.apps,
        )

    def _contributing_rows(
        self,
        cell: ThingChange,
        kind: Kind,
        region: Region,
        rules: RulesOfSides,
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
        yield from dict.fromkeys([*found, *news, *rows_about_scopes(self._snapshots, stated, kind, self._callers.apps)])

    def _is_shared(self, link: ContributingRow) -> bool:
        row = link.row
        return isinstance(row, Membership) and all((row.member, row.grant) in side.links for side in self._holders)


def _plain_meanings(snapshot: Snapshot, key: Key) -> frozenset[tuple[frozenset[str], str, str]]:
    """What the rules of a key mean, for any kind of caller."""
    return frozenset(
        (rule.needs, rule.effect, rule.condition.text if rule.condition else "") for rule in snapshot.rules_for(*key)
    )


def _properties(known: Known) -> dict[tuple[str, str], Properties]:
    return {key: entity.properties for key, entity in known.items()}


# These variables depend on the template that a path matches.
_OF_TEMPLATE: tuple[Path, ...] = (("params",), ("resource",))
_SIDES: tuple[Side, Side] = ("old", "new")


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
