"""The keys of all owners in a real database: filters, sorting and pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlmodel import col

from app.db.session import Sessions
from app.db.tables.keys import ApiKey
from app.identity.api_keys import MintedKey, mint
from app.identity.token_format import DEFAULT_PREFIX
from app.keys import api_keys
from app.keys.listing import SORTS, KeyFilter, KeyPosition, Sort, Status, find, page, place_of
from app.keys.prefixes import has_accepted_prefix, has_other_prefix, other_prefix
from app.token_prefixes import use_token_prefixes

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
COUNT = 30


async def _fill(sessions: Sessions) -> None:
    """Insert keys, some never used, some without expiry, some with equal times."""
    async with sessions() as session:
        for number in range(COUNT):
            key = await api_keys.insert(
                session,
                subject=f"user_{number % 3}",
                name=f"key {number}",
                new=mint("test" if number % 5 == 0 else "live"),
                scopes=[],
                now=NOW - timedelta(hours=COUNT - number),
                expires_at=None if number % 4 == 0 else NOW + timedelta(microseconds=number % 7 - 3),
            )
            key.last_used_at = None if number % 3 == 0 else NOW - timedelta(microseconds=number % 4)
            key.revoked_at = NOW if number % 10 == 0 else None
            key.successor_id = 1 if number % 9 == 0 else None
        await session.commit()


async def _all(sessions: Sessions, wanted: KeyFilter) -> list[int]:
    """The ids of all pages together."""
    found: list[int] = []
    after: KeyPosition | None = None
    while True:
        async with sessions() as session:
            rows = await page(session, wanted, now=NOW, after=after, limit=4)
        found += [row.id for row in rows]
        if len(rows) < 4:
            return found
        after = place_of(rows[-1], wanted.sort)


@pytest.mark.parametrize("sort", SORTS)
async def test_each_sort_order_lists_every_key_once(sessions: Sessions, sort: Sort) -> None:
    await _fill(sessions)
    found = await _all(sessions, KeyFilter(sort=sort))
    assert sorted(found) == list(range(1, COUNT + 1))
    async with sessions() as session:
        keys = [await find(session, key_id) for key_id in found]
    if sort in ("newest", "oldest"):
        assert found == sorted(found, reverse=sort == "newest")
        return
    times = [(key.last_used_at if sort == "used" else key.expires_at) if key else None for key in keys]
    known = [time for time in times if time is not None]
    assert known == sorted(known, reverse=sort == "used")
    assert times[len(known) :] == [None] * (COUNT - len(known))


@pytest.mark.parametrize(
    ("status", "fits"),
    [
        ("revoked", lambda n: n % 10 == 0),
        ("expired", lambda n: n % 10 != 0 and n % 4 != 0 and n % 7 <= 3),
        ("active", lambda n: n % 10 != 0 and (n % 4 == 0 or n % 7 > 3)),
        ("expiring", lambda n: n % 10 != 0 and n % 4 != 0 and n % 7 > 3 and n % 9 != 0),
        ("superseded", lambda n: n % 10 != 0 and (n % 4 == 0 or n % 7 > 3) and n % 9 == 0),
        ("unused", lambda n: n % 10 != 0 and (n % 4 == 0 or n % 7 > 3) and n % 3 == 0),
    ],
    ids=["revoked", "expired", "active", "expiring", "superseded", "unused"],
)
async def test_a_status_filter_uses_the_current_status(sessions: Sessions, status: Status, fits: object) -> None:
    await _fill(sessions)
    assert callable(fits)
    expected = [number + 1 for number in range(COUNT) if fits(number)]
    assert await _all(sessions, KeyFilter(status=status, sort="oldest")) == expected
    assert expected


async def test_owner_and_prefix_are_literal(sessions: Sessions) -> None:
    await _fill(sessions)
    assert len(await _all(sessions, KeyFilter(subject="user_1"))) == COUNT / 3
    assert len(await _all(sessions, KeyFilter(prefix="grd_test_"))) == COUNT / 5
    for nothing in ("grd%", "grd_liveX", "%"):
        assert await _all(sessions, KeyFilter(prefix=nothing)) == []
    assert await _all(sessions, KeyFilter(subject="user_%")) == []


async def test_a_key_whose_prefix_is_not_in_the_setting_is_found(sessions: Sessions) -> None:
    await _fill(sessions)
    steps = (  # the setting, the prefix of one more key, and what is found
        ("grd", "", None),
        ("acme", "", "grd"),
        ("acme grd", "", None),
        ("grd", "acme", "acme"),
        ("grd acme", "zz", "zz"),
        ("zz acme grd", "acme2", "acme2"),
        ("grd acme zz acme2", "h", "h"),
        ("grd acme zz acme2 h", "grd1", "grd1"),
        ("h zz grd1 grd acme2 acme", "", None),
    )
    try:
        for number, (configured, prefix, found) in enumerate(steps):
            use_token_prefixes(configured.split())
            async with sessions() as session:
                if prefix:
                    new = MintedKey("", "live", f"{prefix}_live_0", bytes([number]) * 32)
                    await api_keys.insert(session, subject="user_new", name="new", new=new, scopes=[], now=NOW)
                    await session.commit()
                assert await other_prefix(session, NOW) == found
                every = set((await session.scalars(select(col(ApiKey.key_prefix)))).all())
                ours = {text for text in every if text.partition("_")[0] in configured.split()}
                for condition, fit in ((has_accepted_prefix, ours), (has_other_prefix, every - ours)):
                    query = select(col(ApiKey.key_prefix)).where(condition(session))
                    assert set((await session.scalars(query)).all()) == fit
        use_token_prefixes(["new"])
        async with sessions() as session:
            for key_id in await _all(sessions, KeyFilter(status="active")):
                key = await find(session, key_id)
                assert key is not None
                key.revoked_at = NOW
            await session.commit()
            assert await other_prefix(session, NOW) is None, "no key is accepted, whatever its prefix"
    finally:
        use_token_prefixes([DEFAULT_PREFIX])


async def test_keys_with_a_former_prefix_are_found_by_it(sessions: Sessions) -> None:
    await _fill(sessions)
    use_token_prefixes(["acme"])
    try:
        new = mint("live")
    finally:
        use_token_prefixes([DEFAULT_PREFIX])
    async with sessions() as session:
        await api_keys.insert(session, subject="user_new", name="new", new=new, scopes=[], now=NOW)
        await session.commit()
    for prefix in ("acme_", "acme_live", "acme_live_", new.prefix[:-3], new.prefix):
        assert await _all(sessions, KeyFilter(prefix=prefix)) == [COUNT + 1], prefix
    assert await _all(sessions, KeyFilter(prefix="acme_test_")) == []
    assert len(await _all(sessions, KeyFilter(prefix="grd_"))) == COUNT
    assert len(await _all(sessions, KeyFilter(prefix="grd_live_"))) == COUNT * 4 / 5
