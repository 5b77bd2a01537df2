"""The keys of an owner: a list, and a page for each with what it reaches and which scopes it used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, Literal
from urllib.parse import urlencode

from litestar import Response
from litestar.params import FromPath, QueryParameter

from app.console.key_section import in_both_sections, section_of
from app.console.page import long_page, page
from app.db import usage as logged
from app.db.tables.keys import ApiKey
from app.http.wire.filters import check_filters
from app.http.wire.handlers import RequestSession, get_or_head
from app.http.wire.ids import read_id
from app.identity.api_keys import principal_of, refusal_reason
from app.identity.principal import Principal, is_fact
from app.keys import api_keys, own_keys
from app.keys.status import ACCEPTED, WORDS, KeyStatus, status_of
from app.policy.analysis.publishers import root_permissions
from app.policy.analysis.reach import reach
from app.policy.engine.snapshot import Snapshot
from app.policy.language.rule import action_order
from app.services import AnyRequest, services_of

PAGE_SIZE = 50
USAGE_DAYS = 30
USAGE_LATEST = 10_000  # decisions of a key that its page counts
_IMPLIED = ("HEAD", "OPTIONS")  # follow GET, and the endpoint itself
_MAX_PAGE = 100_000
_Shown = Literal["all", "active", "expiring", "superseded", "expired", "revoked"]
_ShownQuery = Annotated[_Shown, QueryParameter(name="state")]
_OrderQuery = Annotated[own_keys.Order, QueryParameter(name="sort")]
_DownQuery = Annotated[bool, QueryParameter()]
_PageQuery = Annotated[int, QueryParameter(name="page", ge=1, le=_MAX_PAGE)]
_DoneQuery = Annotated[Literal["", "revoked"], QueryParameter()]

_COLOURS: Mapping[KeyStatus, str] = {"active": "good", "expiring": "warn", "superseded": "warn"}
STATES: Mapping[KeyStatus, tuple[str, str]] = {
    status: (word.capitalize(), _COLOURS.get(status, "off")) for status, word in WORDS.items()
}


@dataclass(frozen=True, slots=True)
class StatusBadge:
    """The status of a key as a word with a colour."""

    state: KeyStatus
    word: str
    colour: str

    @property
    def is_active(self) -> bool:
        """Whether the key opens anything."""
        return self.state in ACCEPTED


@dataclass(frozen=True, slots=True)
class ReachedResource:
    """A resource that a key reaches, with the actions; those in `conditional` depend on a condition."""

    resource: str
    actions: tuple[str, ...]
    conditional: tuple[str, ...]


def badge(key: ApiKey, now: datetime) -> StatusBadge:
    """The badge of a key at a time."""
    state = status_of(key, now)
    return StatusBadge(state, *STATES[state])


def root_mark(snapshot: Snapshot) -> Callable[[ApiKey], bool]:
    """A function that says of a key whether a scope of it that is in force suffices to publish a policy."""

    @cache
    def is_root(scope: str) -> bool:
        return bool(root_permissions(snapshot, (scope,)))

    def has_root(key: ApiKey) -> bool:
        held = principal_of(api_keys.record_of(key)).held
        return any(map(is_root, snapshot.in_force(held) & set(key.scopes)))

    return has_root


@get_or_head(in_both_sections())
async def show_keys(
    request: AnyRequest,
    session: RequestSession,
    *,
    shown: _ShownQuery = "all",
    order: _OrderQuery = "created",
    down: _DownQuery = True,
    number: _PageQuery = 1,
) -> Response[str]:
    """Show the keys of the owner."""
    check_filters(request, "state", beside=("sort", "down", "page"))
    section, now = section_of(request), datetime.now(UTC)
    subject = section.owner.subject
    counts = await own_keys.counts(session, subject, now)
    total = counts.get(shown, 0) if shown != "all" else sum(counts.values())
    keys = await own_keys.page_of(
        session,
        subject,
        state=None if shown == "all" else shown,
        order=order,
        descending=down,
        now=now,
        offset=(number - 1) * PAGE_SIZE,
        limit=PAGE_SIZE,
    )

    def address(**changed: object) -> str:
        stated = {"state": shown, "sort": order, "down": str(down).lower(), "page": 1, **changed}
        plain = {"state": "all", "sort": "created", "down": "true", "page": 1}
        return section.path + ("?" + urlencode(other) if (other := _without(stated, plain)) else "")

    return await long_page(
        request,
        "keys.html",
        owned=section,
        keys=[(key, badge(key, now)) for key in keys],
        has_root=root_mark(services_of(request.app).live.active),
        counts=counts,
        states=STATES,
        any_keys=bool(counts),
        shown=shown,
        order=order,
        down=down,
        number=number,
        pages=max(1, -(-total // PAGE_SIZE)),
        total=total,
        address=address,
    )


@get_or_head(in_both_sections("/{key_id:str}"))
async def show_key(
    key_id: FromPath[str], request: AnyRequest, session: RequestSession, done: _DoneQuery = ""
) -> Response[str]:
    """Show a key: its facts, what it reaches now, and which scopes it used recently."""
    services, section = services_of(request.app), section_of(request)
    now = datetime.now(UTC)
    key = await api_keys.own_key(session, section.owner.subject, read_id(key_id))
    live = services.live
    snapshot = live.active
    record = api_keys.record_of(key)
    caller = principal_of(record)
    since = now - timedelta(days=USAGE_DAYS)
    found, began = await logged.usage_since(
        session, snapshot, caller.held, key.scopes, key_id=key.id, since=since, latest=USAGE_LATEST
    )
    begins = int(since.timestamp() * 1_000_000)
    is_all = await logged.number(session, key.id, begins, at_most=USAGE_LATEST + 1) <= USAGE_LATEST
    own, everyones = await asyncio.to_thread(reached, snapshot, caller)
    return page(
        request,
        "key.html",
        owned=section,
        key=key,
        badge=badge(key, now),
        successor=await api_keys.successor_of(session, key),
        refused=refusal_reason(record, services.settings.key_environments, now),
        catalog=snapshot.policy.catalog,
        lost=set(key.scopes) - snapshot.in_force(caller.held),
        root=root_permissions(snapshot, key.scopes),
        own=own,
        everyones=everyones,
        usage=found,
        used={each.scope: each for each in found.used},
        days=USAGE_DAYS,
        latest=None if is_all else USAGE_LATEST,
        log_began=began if began is None or began > since else None,
        log_is_empty=began is None,
        sample=services.settings.decision_log_sample,
        revoked_now=done == "revoked" and key.revoked_at is not None,
    )


ROUTES = (show_keys, show_key)


def reached(snapshot: Snapshot, caller: Principal) -> tuple[list[ReachedResource], list[ReachedResource]]:
    """What a key reaches by its scopes, and what everyone reaches."""
    held = snapshot.in_force(caller.held)
    facts = snapshot.effective(grant for grant in held if is_fact(grant))
    found: dict[tuple[bool, str], list[tuple[str, bool]]] = {}
    for each in reach(snapshot, held):
        actions = found.setdefault((each.rule.needs <= facts, each.resource), [])
        actions.append((each.action, each.conditional))
    sides: tuple[list[ReachedResource], list[ReachedResource]] = ([], [])
    for (is_everyones, resource), actions in found.items():
        names = tuple(sorted((action for action, _ in actions if action not in _IMPLIED), key=action_order))
        conditional = tuple(action for action, is_conditional in actions if is_conditional and action in names)
        if names:
            sides[is_everyones].append(ReachedResource(resource, names, conditional))
    return sides


def _without(stated: Mapping[str, object], plain: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in stated.items() if value != plain[name]}
