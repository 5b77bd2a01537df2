"""The keys of a user in a real database: status, sorting and pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text
from sqlmodel import col

from app.db import used_forms
from app.db.session import Sessions
from app.db.tables.keys import ApiKey
from app.identity.api_keys import mint
from app.keys import api_keys, own_keys
from app.keys.status import SOON, accepted, has_status, is_accepted, status_of

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
A_MOMENT = timedelta(microseconds=1)
ENDS = {
    "lasts": None,
    "long": NOW + SOON + A_MOMENT,
    "soon": NOW + SOON,
    "now": NOW + A_MOMENT,
    "over": NOW,
    "gone": NOW + SOON * 2,
}
STATES = {
    "lasts": "active",
    "long": "active",
    "soon": "expiring",
    "now": "expiring",
    "over": "expired",
    "gone": "revoked",
}


async def _fill(sessions: Sessions, subject: str) -> None:
    async with sessions() as session:
        for number, (name, ends) in enumerate(ENDS.items()):
            key = await api_keys.insert(
                session,
                subject=subject,
                name=name,
                new=mint("live"),
                scopes=[],
                now=NOW - timedelta(days=number),
                expires_at=ends,
            )
            if name == "gone":
                key.revoked_at = NOW
        await session.commit()


async def _names(sessions: Sessions, **asked: object) -> list[str]:
    stated = {"state": None, "order": "created", "descending": True, "offset": 0, "limit": 50, **asked}
    async with sessions() as session:
        page = await own_keys.page_of(session, "mine", now=NOW, **stated)  # type: ignore[arg-type]  # as the tests ask
    return [key.name for key in page]


async def test_the_database_and_python_agree_on_the_status_of_a_key(sessions: Sessions) -> None:
    await _fill(sessions, "mine")
    await _fill(sessions, "another's")
    async with sessions() as session:
        keys = await api_keys.list_for(session, "mine")
        counts = await own_keys.counts(session, "mine", NOW)
        in_force = set((await session.scalars(select(col(ApiKey.name)).where(accepted(NOW)))).all())
    assert {key.name: status_of(key, NOW) for key in keys} == STATES
    assert in_force == {key.name for key in keys if is_accepted(key, NOW)} == {"lasts", "long", "soon", "now"}
    assert counts == {"active": 2, "expiring": 2, "expired": 1, "revoked": 1}
    for state in counts:
        assert set(await _names(sessions, state=state)) == {name for name, found in STATES.items() if found == state}


async def test_a_rotated_key_is_superseded_until_it_expires(sessions: Sessions) -> None:
    expected = {**dict.fromkeys(("lasts", "long", "soon", "now"), "superseded"), "over": "expired", "gone": "revoked"}
    await _fill(sessions, "mine")
    async with sessions() as session:
        for key in await api_keys.list_for(session, "mine"):
            key.successor_id = 1
        await session.commit()
        counts = await own_keys.counts(session, "mine", NOW)
        keys = await api_keys.list_for(session, "mine")
        superseded = (await session.scalars(select(col(ApiKey.name)).where(has_status("superseded", NOW)))).all()
    assert {key.name: status_of(key, NOW) for key in keys} == expected
    assert {key.name for key in keys if is_accepted(key, NOW)} == set(superseded)
    assert counts == {"superseded": 4, "expired": 1, "revoked": 1}
    assert set(superseded) == {"lasts", "long", "soon", "now"}


async def test_missing_times_are_last_in_both_directions(sessions: Sessions) -> None:
    await _fill(sessions, "mine")
    assert await _names(sessions, order="expires", descending=True) == ["gone", "long", "soon", "now", "over", "lasts"]
    assert await _names(sessions, order="expires", descending=False) == ["over", "now", "soon", "long", "gone", "lasts"]
    assert await _names(sessions, order="name", descending=False, limit=2, offset=1) == ["lasts", "long"]


async def test_an_expiry_can_only_be_shortened(sessions: Sessions) -> None:
    await _fill(sessions, "mine")
    until = NOW + timedelta(days=1)
    async with sessions() as session:
        ended = {}
        for key in await api_keys.list_for(session, "mine"):
            changed = await api_keys.expire(session, "mine", key.id, NOW, until)
            assert await api_keys.expire(session, "another's", key.id, NOW, NOW) is None
            ended[key.name] = changed and changed.expires_at
    assert ended == {"lasts": until, "long": until, "soon": until, "now": ENDS["now"], "over": None, "gone": None}


async def test_a_form_is_accepted_once(sessions: Sessions) -> None:
    async def use(digest: bytes, now: datetime = NOW) -> bool:
        async with sessions() as session:
            if fresh := await used_forms.use(session, digest, now):
                await session.commit()
            return fresh

    assert [await use(b"a" * 32), await use(b"a" * 32), await use(b"b" * 32)] == [True, False, True]
    async with sessions() as session:
        assert await used_forms.use(session, b"c" * 32, NOW)
    assert await use(b"c" * 32), "an uncommitted use does not count"


async def test_a_used_form_is_deleted_by_the_clock_of_the_database(sessions: Sessions) -> None:
    """On SQLite that is the machine's, once another form that was used is a day old."""

    async def use(digest: bytes, now: datetime) -> bool:
        async with sessions() as session:
            if fresh := await used_forms.use(session, digest, now):
                await session.commit()
            return fresh

    def ahead(days: float) -> datetime:
        return NOW + timedelta(days=days)

    assert await use(b"a" * 32, NOW)
    assert not await use(b"a" * 32, ahead(40)), "the clock of this process is wrong"
    assert await use(b"b" * 32, ahead(1.1))
    assert not await use(b"a" * 32, ahead(2))
    async with sessions() as session:
        if session.get_bind().dialect.name == "postgresql":
            await session.execute(text("UPDATE used_forms SET used_at = used_at - interval '25 hours'"))
            await session.commit()
    assert await use(b"c" * 32, ahead(2.2)), "which deletes those of more than a day ago"
    assert await use(b"a" * 32, ahead(2.3))
