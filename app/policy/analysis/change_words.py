"""Describes a change of access: what is gained or lost, and by whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from app.policy.analysis.access_change import AccessChange, Combination

MAX_NAMED = 4  # of grants that are alternatives


def describe(change: AccessChange) -> str:
    """Describe a change in one line: the endpoints, and who gains or loses them."""
    unless = [_besides(combination) for combination in change.unless]
    text = f"{'|'.join(change.actions)} {change.resource}{_rerouted(change)}  for {_who(change.who)}"
    return text + (f", unless {' or '.join(unless)}" if unless else "")


def _rerouted(change: AccessChange) -> str:
    """Which template a path matches now, and which it matched before."""
    if change.reroute is None:
        return ""
    was = change.reroute.was or "no route"
    return f", now answered by {change.reroute.now or 'no route'} instead of {was},"


def _who(who: Combination) -> str:
    holders = f"holders of {grants_of(who.holds)}" if who.holds else "everyone"
    return " ".join([holders, *(f"when {condition}" for condition in _conditions(who))])


def _besides(combination: Combination) -> str:
    held = [f"they hold {grants_of(combination.holds)}"] if combination.holds else []
    return " and ".join([*held, *_conditions(combination)])


def grants_of(groups: Iterable[tuple[str, ...]]) -> str:
    """Write groups of grants, of each of which a caller holds at least one."""
    return " + ".join(_any_of(group) for group in groups)


def _any_of(group: tuple[str, ...]) -> str:
    if len(group) == 1:
        return group[0]
    named = [*group[:MAX_NAMED], *([f"{len(group) - MAX_NAMED} more"] if len(group) > MAX_NAMED else [])]
    return f"({' or '.join(named)})"


def _conditions(combination: Combination) -> Iterator[str]:
    for when in combination.met:
        yield f"`{when.text}`" + _under(when.side)
    for when in combination.not_unmet:
        yield f"`{when.text}`{_under(when.side)} is met or unknown"


def _under(side: str) -> str:
    """The policy whose roles a condition is evaluated with, if that makes a difference."""
    return f" (with the roles of the {side} policy)" if side else ""
