"""Changes of access for apps on behalf of users: of what they may ask for, merged, and without those that follow."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from app.identity.app_facts import APP_FACTS, APP_METHOD
from app.identity.principal import CONSENTED, ON_BEHALF
from app.policy.analysis.access_change import AccessChange, Combination, ContributingRow, Kind, Side
from app.policy.analysis.callers import AppCallers, AppPattern, merged
from app.policy.engine.rule_index import Key
from app.policy.engine.snapshot import Snapshot
from app.policy.language.rule import ASK, SCOPE_TYPE, Rule

_Snapshots = tuple[Snapshot, Snapshot]
_Groups = Sequence[Collection[str]]


def scope_changes(snapshots: _Snapshots, callers: AppCallers) -> Iterator[AccessChange]:
    """What apps may ask for under only one of the policies."""
    before, after = callers.scopes
    kinds: tuple[tuple[Kind, frozenset[str]], ...] = (("gain", after - before), ("loss", before - after))
    for kind, scopes in kinds:
        for scope in sorted(scopes):
            rows = tuple(rows_about_scopes(snapshots, [CONSENTED + scope], kind, callers.apps))
            yield AccessChange(kind, f"{SCOPE_TYPE}:{scope}", (ASK,), Combination(), (), rows, apps=callers.apps)


def rows_about_scopes(
    snapshots: _Snapshots, stated: Iterable[str], kind: Kind, apps: Iterable[AppPattern]
) -> Iterator[ContributingRow]:
    """The rows of only one policy that let these apps ask for a scope, or that keep them from it under the other."""
    held = [app.holds | {APP_METHOD} for app in apps]
    sides: tuple[Side, Side] = ("old", "new")
    now = 1 if kind == "gain" else 0
    for scope in (grant.removeprefix(CONSENTED) for grant in stated if grant.startswith(CONSENTED)):
        contents = [{rule.content for rule in snapshot.ask_rules(scope)} for snapshot in snapshots]
        for side, effect in ((now, "allow"), (1 - now, "deny")):
            own = (rule for rule in snapshots[side].ask_rules(scope) if rule.content not in contents[1 - side])
            for rule in own:
                if rule.effect == effect and any(rule.needs <= facts for facts in held):
                    yield ContributingRow(sides[side], rule)


def merge_apps(changes: Iterable[AccessChange], snapshots: _Snapshots) -> list[AccessChange]:
    """Equal changes of several classes of apps as one."""
    named = facts_of_apps(snapshots)
    choices = [[fact for fact in named if fact.startswith(family)] for family in APP_FACTS]
    together: dict[AccessChange, AccessChange] = {}
    for change in changes:
        alike = replace(change, apps=(), rows=())
        known = together.get(alike)
        if known is None:
            together[alike] = change
        else:
            rows = tuple(dict.fromkeys((*known.rows, *change.rows)))
            together[alike] = replace(known, apps=merged((*known.apps, *change.apps), choices), rows=rows)
    return list(together.values())


def without_implied_changes(changes: Iterable[AccessChange], direct: Sequence[AccessChange]) -> list[AccessChange]:
    """The changes for apps that do not follow from a change for other callers, by the same grants."""
    return [change for change in changes if not any(_is_implied(change, other) for other in direct)]


def facts_of_apps(snapshots: _Snapshots) -> frozenset[str]:
    """The facts of apps that rows of the policies name."""
    named: set[str] = set()
    for snapshot in snapshots:
        named.update(grant for needs in {rule.needs for rule in snapshot.policy.rules} for grant in needs)
        named.update(row.member for row in snapshot.policy.memberships)
    return frozenset(fact for fact in named if fact.startswith(APP_FACTS))


def keys_about_apps(snapshots: _Snapshots) -> Iterator[Key]:
    """The keys with rules that differ between the policies and that name a fact of apps, or are about a scope."""
    for snapshot in snapshots:
        for key, rules in snapshot.index.items():
            if any(map(_names_apps, rules)):
                yield key


def _names_apps(rule: Rule) -> bool:
    return any(need.startswith((APP_METHOD, *APP_FACTS)) for need in rule.needs)


def _is_implied(change: AccessChange, direct: AccessChange) -> bool:
    """Whether callers that hold what the user and the app hold together gain, or lose, the same."""
    if change.kind != direct.kind or change.reroute != direct.reroute:
        return False
    if change.kind == "gain" and direct.who == Combination():
        return True  # it is open to everyone now
    return (
        set(direct.who.met) <= set(change.who.met)
        and set(direct.who.not_unmet) <= {*change.who.not_unmet, *change.who.met}
        and _has_all(_plain(change.who), [*direct.who.holds])
        and all(any(_is_within(other, own) for own in change.unless) for other in direct.unless)
    )


def _is_within(direct: Combination, own: Combination) -> bool:
    """Whether callers that a combination excludes are excluded, as apps, by another one."""
    return (
        _has_all([*direct.holds], _plain(own))
        and set(own.met) <= set(direct.met)
        and set(own.not_unmet) <= {*direct.not_unmet, *direct.met}
    )


def _plain(combination: Combination) -> list[tuple[str, ...]]:
    """The groups of grants, without the mark of the side that holds them."""
    return [
        tuple(grant.removeprefix(CONSENTED).removeprefix(ON_BEHALF) for grant in group) for group in combination.holds
    ]


def _has_all(held: _Groups, groups: _Groups) -> bool:
    """Whether callers that hold one grant of each group in `held` hold one of each in `groups`."""
    return all(any(set(own) <= set(group) for own in held) for group in groups)
