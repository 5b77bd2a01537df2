"""Describes a change of access: what is gained or lost, and by whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from app.identity.principal import CONSENTED, ON_BEHALF
from app.policy.analysis.access_change import AccessChange, Combination
from app.policy.analysis.callers import AppPattern

MAX_NAMED = 4  # of grants that are alternatives


def describe(change: AccessChange) -> str:
    """Describe a change in one line: the endpoints, and who gains or loses them."""
    unless = [_besides(combination) for combination in change.unless]
    who = " ".join([holders_of(change), *(f"when {condition}" for condition in _conditions(change.who))])
    text = f"{'|'.join(change.actions)} {change.resource}{_rerouted(change)}  for {who}"
    return text + (f", unless {' or '.join(unless)}" if unless else "")


def _rerouted(change: AccessChange) -> str:
    """Which template a path matches now, and which it matched before."""
    if change.reroute is None:
        return ""
    was = change.reroute.was or "no route"
    return f", now answered by {change.reroute.now or 'no route'} instead of {was},"


def holders_of(change: AccessChange) -> str:
    """Who gains or loses it: the grants that they hold, and of apps the facts."""
    who = change.who
    if not change.apps:
        return f"holders of {grants_of(who.holds)}" if who.holds else "everyone"
    scopes, user = _of_side(who, CONSENTED), _of_side(who, ON_BEHALF)
    consent = f" with consent to {grants_of(scopes)}" if scopes else ""
    return f"{_apps(change.apps)}{consent}" + (f" of users who hold {grants_of(user)}" if user else "")


def _apps(apps: Sequence[AppPattern]) -> str:
    named = [_pattern(app) for app in apps[:MAX_NAMED]]
    named += [f"{len(apps) - MAX_NAMED} more"] if len(apps) > MAX_NAMED else []
    return "all apps" if named == [""] else f"apps ({' or '.join(text or 'any other' for text in named)})"


def _pattern(app: AppPattern) -> str:
    holds = " + ".join(sorted(app.holds))
    return holds + (f"{' ' if holds else ''}without {' or '.join(sorted(app.lacks))}" if app.lacks else "")


def _of_side(combination: Combination, mark: str) -> list[tuple[str, ...]]:
    """The groups of grants of the app or of the user, without their mark."""
    return [
        tuple(grant.removeprefix(mark) for grant in group)
        for group in combination.holds
        if all(grant.startswith(mark) for grant in group)
    ]


def _besides(combination: Combination) -> str:
    scopes, user = _of_side(combination, CONSENTED), _of_side(combination, ON_BEHALF)
    plain = [group for group in combination.holds if not group[0].startswith((CONSENTED, ON_BEHALF))]
    held = [f"they hold {grants_of(plain)}"] if plain else []
    held += [f"they have consent to {grants_of(scopes)}"] if scopes else []
    held += [f"the user holds {grants_of(user)}"] if user else []
    return " and ".join([*held, *_conditions(combination)])


def grants_of(groups: Iterable[tuple[str, ...]]) -> str:
    """Write groups of grants, of each of which a caller holds at least one."""
    return " + ".join(_any_of(group) for group in groups)


def _any_of(group: tuple[str, ...]) -> str:
    named = [*group[:MAX_NAMED], *([f"{len(group) - MAX_NAMED} more"] if len(group) > MAX_NAMED else [])]
    text = " or ".join(named)
    return text if len(group) == 1 else f"({text})"


def _conditions(combination: Combination) -> Iterator[str]:
    for when in combination.met:
        yield f"`{when.text}`" + _under(when.side)
    for when in combination.not_unmet:
        yield f"`{when.text}`{_under(when.side)} is met or unknown"


def _under(side: str) -> str:
    """Whose grants a condition is evaluated with, and under which policy, if that makes a difference."""
    party, policy = (*side.split(), "")[:2] if side.startswith(("app", "user")) else ("", side)
    words = [f"with the grants of the {party}"] * bool(party) + [f"with the roles of the {policy} policy"] * bool(
        policy
    )
    return f" ({', '.join(words)})" if words else ""
