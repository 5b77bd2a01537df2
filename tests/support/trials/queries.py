"""The queries of the program, through its own functions, with the rows that each may read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.actor import SERVER
from app.audit.decision_filter import DecisionFilter
from app.db import decisions, replay, usage
from app.db.decision_filters import filters_keys
from app.db.decision_times import DAY
from app.db.decisions import LogPosition
from app.db.old_decisions import OldDecisions
from app.db.session import Sessions
from app.db.tables.decisions import ID_BLOCK_BITS
from app.keys import api_keys, capacity, listing, own_keys, subjects
from app.keys.listing import SORTS, STATUSES, KeyFilter
from app.keys.revocations import revoke_key
from tests.support.trials.filled_databases import DAYS, GRANT_SETS, KEYS_EACH, digest_of, first_day

PAGE = 50
# A page may read a few times its rows, and the first row of each of some forty partitions.
OF_A_PAGE = 8 * PAGE
COMPARED = 4 * 60 * (PAGE + 1)
# To load keys PostgreSQL may read all of their parts and of the grant sets, if they are few.
PARTS = GRANT_SETS + 2_000
_T = TypeVar("_T")
Ask = Callable[[Sessions], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Query:
    """A query, and the most rows that it should read."""

    name: str
    ask: Ask
    most: int


def every_query(*, keys: int, decided: int, now: datetime) -> Sequence[Query]:
    """Every kind of query, for a database with so many keys and decisions."""
    return [*_of_keys(keys, now), *_of_the_log(keys, decided, now), *_that_change(keys, decided, now)]


def _session(work: Callable[[AsyncSession], Awaitable[_T]]) -> Ask:
    async def ask(sessions: Sessions) -> _T:
        async with sessions() as session:
            return await work(session)

    return ask


def _of_keys(keys: int, now: datetime) -> Sequence[Query]:
    owner = "user_7"
    some = keys // 2
    found = [
        Query("key by its digest", _session(lambda s: api_keys.find_by_digest(s, digest_of(some))), 1),
        Query("keys of a subject", _session(lambda s: api_keys.list_for(s, owner)), 2 * KEYS_EACH),
        Query(
            "keys of a subject: a page", _session(lambda s: api_keys.page_for(s, owner, before=keys, limit=PAGE)), PAGE
        ),
        Query("keys of a subject, counted", _session(lambda s: capacity.count_keys(s, owner, now)), 2 * KEYS_EACH),
        Query("a subject's own key", _session(lambda s: api_keys.get_for(s, owner, 7)), 1),
        Query("own keys: counts", _session(lambda s: own_keys.counts(s, owner, now)), 2 * KEYS_EACH),
        Query("own keys: four pages", _session(lambda s: _own(s, owner, now)), 5 * KEYS_EACH),
        Query("keys by their ids", lambda s: subjects.records(s, range(some, some + PAGE)), 2 * PAGE),
        Query("active keys, in order", lambda s: _active(s, now, some), OF_A_PAGE),
        Query("owners, in order", lambda s: subjects.owners(s, after="user_2", limit=PAGE), PAGE * KEYS_EACH * 2),
    ]
    wanted = {
        "": KeyFilter(),
        " of a subject": KeyFilter(subject=owner),
        " with a prefix": KeyFilter(prefix="grd_live_5a5"),
        " with a whole prefix": KeyFilter(prefix="grd_live_5a5a5a5a"),
        **{f" that are {status}": KeyFilter(status=status) for status in STATUSES},
    }
    for sort in SORTS:
        for words, which in wanted.items():
            name = f"everybody's keys{words}, by {sort}"
            # Rows filtered and sorted by time are read completely if they are few, otherwise in order.
            most = OF_A_PAGE if not words or sort in ("newest", "oldest") else max(OF_A_PAGE, keys // 12)
            if words == " that are expired":  # no index has another order, and there are matches among any keys
                most = max(most, 10 * OF_A_PAGE)
            found.append(Query(name, _session(_page(replace(which, sort=sort), now, deep=False)), most))
            if not words:
                found.append(
                    Query(f"{name}, deep", _session(_page(replace(which, sort=sort), now, deep=True)), OF_A_PAGE)
                )
    return found


def of_many_keys(owner: str, now: datetime) -> Sequence[Query]:
    """The pages of an owner of very many keys, in each order."""
    return [
        Query(f"keys of an owner, by {sort}", _session(_page(KeyFilter(owner, sort=sort), now, deep=False)), PAGE + 1)
        for sort in SORTS
    ]


def _page(wanted: KeyFilter, now: datetime, *, deep: bool) -> Callable[[AsyncSession], Awaitable[object]]:
    async def ask(session: AsyncSession) -> object:
        after = None
        if deep:
            key = await listing.find(session, 1 + 83 * 7)
            assert key is not None
            middle = listing.place_of(key, wanted.sort)
            time = now - timedelta(days=5) if wanted.sort == "used" else now + timedelta(days=5)
            after = replace(middle, time=time if wanted.sort in ("used", "expires") else None)
        return await listing.page(session, wanted, now=now, after=after, limit=PAGE + 1)

    return ask


async def _own(session: AsyncSession, owner: str, now: datetime) -> object:
    return [
        await own_keys.page_of(session, owner, state=state, order=order, descending=True, now=now, offset=0, limit=PAGE)
        for state in (None, "active")
        for order in ("name", "used")
    ]


async def _active(sessions: Sessions, now: datetime, after: int) -> object:
    return await subjects.active(sessions, environments=("live", "test"), now=now, after=after, limit=PAGE)


def _of_the_log(keys: int, decided: int, now: datetime) -> Sequence[Query]:
    start = first_day(now)
    middle = LogPosition(start + DAYS // 2 * DAY, 0)
    one = DecisionFilter(request_id="0" * 32)
    wanted = {
        "": DecisionFilter(),
        " of a subject": DecisionFilter(subject="user_7"),
        " of an unknown subject": DecisionFilter(subject="user_unknown"),
        " by a key": DecisionFilter(key_id=1 + 7919 * 6 % keys),
        " on a route": DecisionFilter(resource="/api/v1/resource_7"),
        " of an action": DecisionFilter(action="PATCH"),
        " that deny": DecisionFilter(allowed=False),
        " that allow": DecisionFilter(allowed=True),
        " under a revision": DecisionFilter(revision="revision3"),
        " of a request": one,
        " of an hour": DecisionFilter(since=middle.at, until=middle.at + DAY // 24),
        " of a subject that deny": DecisionFilter(subject="user_7", allowed=False),
        " that deny, of a day": DecisionFilter(allowed=False, since=middle.at, until=middle.at + DAY),
        " but for a door": DecisionFilter(except_door="authzen"),
    }
    found = []
    for words, which in wanted.items():
        # What has a key is compared with the rows next to the position first, each with its key and two parts of it.
        most = PARTS + (COMPARED if filters_keys(which) or which.except_door else OF_A_PAGE)
        found.append(Query(f"decisions{words}", _session(_newest(which)), most))
        found.append(Query(f"decisions{words}, older", _session(_beside(which, middle, older=True)), most))
        found.append(Query(f"decisions{words}, newer", _session(_beside(which, middle, older=False)), most))
    day = decided // DAYS
    return [
        *found,
        Query("newest decision", _session(decisions.newest_id), OF_A_PAGE),
        Query("oldest decision", _session(usage.oldest), OF_A_PAGE),
        Query("what follows", _session(lambda s: decisions.following(s, DecisionFilter(), after=decided - 9)), PARTS),
        Query(
            "what follows, denials",
            _session(lambda s: decisions.following(s, DecisionFilter(allowed=False), after=decided - 9)),
            OF_A_PAGE,
        ),
        Query("an export's first page", _first_page, PARTS * 2 + 3 * decisions.EXPORT_PAGE),
        Query("a replay of a day", lambda s: _replay(s, middle.at), 2 * day + 6_000 + replay.SLICES * PARTS),
        Query(
            "request ids for a replay",
            lambda s: replay.request_ids(s, range(1, decided, max(1, decided // 400))),
            400 << ID_BLOCK_BITS,
        ),
        Query("scopes a key used", _session(lambda s: usage.uses(s, 1 + 7919, start, latest=1_000)), OF_A_PAGE),
        Query(
            "how often a key was used", _session(lambda s: usage.number(s, 1 + 7919, start, at_most=1_000)), OF_A_PAGE
        ),
    ]


def _newest(wanted: DecisionFilter) -> Callable[[AsyncSession], Awaitable[object]]:
    return lambda session: decisions.page(session, wanted, size=PAGE)


def _beside(wanted: DecisionFilter, mark: LogPosition, *, older: bool) -> Callable[[AsyncSession], Awaitable[object]]:
    if older:
        return lambda session: decisions.page(session, wanted, size=PAGE, older_than=mark)
    return lambda session: decisions.page(session, wanted, size=PAGE, newer_than=mark)


async def _first_page(sessions: Sessions) -> object:
    async for rows in decisions.everything(sessions, DecisionFilter()):
        return rows
    return None


async def _replay(sessions: Sessions, since: int) -> object:
    return [len(groups) async for groups in replay.equal_decisions(sessions, since, since + DAY)]


def _that_change(keys: int, decided: int, now: datetime) -> Sequence[Query]:
    start = first_day(now)
    used = range(1, keys, max(1, keys // 1_000))

    async def touch(session: AsyncSession) -> None:
        await api_keys.touch(session, used, now + timedelta(hours=1))

    return [
        Query("last use of 1,000 keys", _session(touch), 2_000),
        Query("revoke a key", _session(lambda s: revoke_key(s, 7, SERVER, now)), 2),
        Query("retention: time", lambda s: OldDecisions(s).now(), 1),
        Query("retention: oldest decision", lambda s: OldDecisions(s).oldest(), DAYS + 10),
        Query("retention: days", lambda s: OldDecisions(s).drop_day_before(start + DAY), 0),
        Query("retention: decisions", lambda s: OldDecisions(s).delete_before(start + 2 * DAY, 1_000), 4_000),
        Query(
            "retention: keys",
            lambda s: OldDecisions(s).delete_keys_before((now - timedelta(days=30)).date()),
            4 * decided,  # all keys, once in ten minutes
        ),
    ]
