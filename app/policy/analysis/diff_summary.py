"""Summarises a difference in a few lines, such as `user:bob gains role:admin: 84 endpoints`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.identity.principal import CONSENTED, ON_BEHALF
from app.policy.analysis.access_change import AccessChange, AccessDiff, Kind, Side
from app.policy.analysis.change_words import MAX_NAMED, holders_of
from app.policy.gc_control import paused_gc, sorted_in_steps
from app.policy.language.rule import Membership


@dataclass(frozen=True, slots=True)
class RoleLink:
    """A `g` row that only one of the policies has."""

    side: Side
    row: Membership


@dataclass(frozen=True, slots=True)
class Headline:
    """What callers gain or lose for one reason: a change of `links`, or of other rows if there are none.

    `endpoints` counts resources, each with the actions that are gained or lost together. It is 0 for an issuer, whose
    users are unknown.
    """

    kind: Kind
    may: bool
    text: str
    endpoints: int
    links: tuple[RoleLink, ...] = ()


@dataclass(frozen=True, slots=True)
class _Cause:
    kind: Kind
    may: bool
    who: str
    links: tuple[RoleLink, ...]
    members: int  # alternative grants, including the members of the links


def summarize(difference: AccessDiff) -> tuple[Headline, ...]:
    """Summarise a difference: issuers, then gains, then by number of endpoints.

    Takes seconds for very many changes.
    """
    with paused_gc():
        return _summarized(difference)


def _summarized(difference: AccessDiff) -> tuple[Headline, ...]:
    groups: dict[_Cause, set[tuple[str, tuple[str, ...]]]] = {}
    for change in difference.changes:
        groups.setdefault(_cause(change), set()).add((change.resource, change.actions))
    found = [
        Headline(cause.kind, cause.may, _text(cause, len(endpoints)), len(endpoints), cause.links)
        for cause, endpoints in groups.items()
    ]
    of_rows = sorted_in_steps(found, key=lambda headline: (headline.kind == "loss", -headline.endpoints, headline.text))
    return (
        *(Headline(change.kind, may=True, text=str(change), endpoints=0) for change in difference.issuers),
        *of_rows,
    )


def _cause(change: AccessChange) -> _Cause:
    links = tuple(RoleLink(each.side, each.row) for each in change.rows if isinstance(each.row, Membership))
    for group in change.who.holds:
        # Prefer links whose members the callers state themselves.
        stated = {grant.removeprefix(CONSENTED).removeprefix(ON_BEHALF) for grant in group}
        if direct := tuple(link for link in links if link.row.member in stated):
            return _Cause(change.kind, change.may, "", direct, len(group))
    return _Cause(change.kind, change.may, holders_of(change), links, 1)


def _text(cause: _Cause, endpoints: int) -> str:
    counted = "1 endpoint" if endpoints == 1 else f"{endpoints:,} endpoints"
    if not cause.links:
        return f"{cause.who} {_verb(cause.kind, plural=cause.who != 'everyone', may=cause.may)} {counted}"
    rows = dict.fromkeys((link.side, link.row.grant) for link in cause.links)
    phrases: list[str] = []
    for side, grant in rows:
        members = sorted({link.row.member for link in cause.links if (link.side, link.row.grant) == (side, grant)})
        more = cause.members - len(members) if len(rows) == 1 else 0
        verb = _verb("gain" if side == "new" else "loss", plural=len(members) + more > 1)
        phrases.append(f"{_list(members, more)} {verb} {grant}")
    text = " and ".join(phrases)
    if all((side == "new") is (cause.kind == "gain") for side, _ in rows):
        text += f": {counted}"
    else:  # a role that denies
        text += f", which {'opens' if cause.kind == 'gain' else 'closes'} {counted}"
    return text + (f" for {cause.who}" if cause.who else "") + (", where conditions allow" if cause.may else "")


def _verb(kind: Kind, *, plural: bool, may: bool = False) -> str:
    word = "gain" if kind == "gain" else "lose"
    return f"may {word}" if may else word if plural else f"{word}s"


def _list(members: Sequence[str], more: int) -> str:
    named = members[:MAX_NAMED]
    left = more + len(members) - len(named)
    if left:
        return f"{', '.join(named)} and {left:,} more"
    return " and ".join(filter(None, (", ".join(named[:-1]), named[-1])))
