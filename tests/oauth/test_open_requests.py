"""Authorization requests that wait: how long, how many, and that a flood takes the place of its own ones alone."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.session import Sessions
from app.db.tables.oauth import AuthorizationRequest
from app.oauth import requests
from app.oauth.errors import OAuthError
from app.oauth.fair_share import UNKNOWN, WIDTHS, origin_of
from app.oauth.requests import OpenRequest
from tests.oauth.flows import NOW

pytestmark = pytest.mark.anyio
SECOND = timedelta(seconds=1)
BROWSER = "browser"
LIMIT = 16
SURROGATE = f"{requests.URN}\ud800"
NOT_UTF8 = ("\ud800", BROWSER)


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "OPEN_REQUESTS", LIMIT)


async def begin(session: AsyncSession, address: str | None, client_id: str = "app_1", *, pushed: bool = False) -> str:
    """The name of a new request from an address."""
    request, origin = OpenRequest(client_id, {"state": "x"}), origin_of(address)
    if pushed:
        return await requests.push_request(session, request, origin, NOW)
    return await requests.open_request(session, request, origin, BROWSER, NOW)


async def is_open(session: AsyncSession, name: str) -> bool:
    return await requests.find_request(session, name, BROWSER, NOW) is not None


async def stored(session: AsyncSession) -> list[str]:
    """The origin of each request."""
    return list(await session.scalars(select(col(AuthorizationRequest.origin))))


def test_the_origin_of_an_address() -> None:
    one, two, three = (origin_of(address) for address in ("192.0.2.7", "192.0.2.8", "192.0.3.7"))
    assert len({one, two, three}) == 3
    assert [one[:width] == two[:width] for width in WIDTHS] == [True, True, False]
    assert [one[:width] == three[:width] for width in WIDTHS] == [True, False, False]
    for other, shared in (("192.0.130.7", [True, False, False]), ("192.0.2.135", [True, True, False])):
        assert [one[:width] == origin_of(other)[:width] for width in WIDTHS] == shared, other
    assert origin_of("192.1.2.7")[: WIDTHS[0]] != one[: WIDTHS[0]]
    assert origin_of("::ffff:192.0.2.7") == one
    assert origin_of("::ffff:c000:207%eth0") == one
    first, same, other = (origin_of(f"2001:db8:1:{rest}") for rest in ("1::1", "1:ffff::2%eth0", "2::1"))
    assert first == same != other
    assert first[: WIDTHS[1]] == other[: WIDTHS[1]]
    near, far = origin_of("2001:db8:2:1::1"), origin_of("2001:db9:1:1::1")
    assert [first[:width] == near[:width] for width in WIDTHS] == [True, False, False]
    assert first[: WIDTHS[0]] != far[: WIDTHS[0]]
    for other, shared in (("2001:db8:8001:1::1", [True, False, False]), ("2001:db8:1:8001::1", [True, True, False])):
        assert [first[:width] == origin_of(other)[:width] for width in WIDTHS] == shared, other
    assert {len(origin) for origin in (one, first, far)} == {WIDTHS[-1]}
    for unknown in (None, "", "/run/authz.sock", "192.0.2", "localhost", "1.2.3.4.5", "::1::"):
        assert origin_of(unknown) == UNKNOWN


async def test_a_pushed_request_lives_for_a_minute_and_is_used_once(sessions: Sessions) -> None:
    async with sessions() as session:
        for after, accepted in ((0, True), (59, True), (60, False)):
            uri = await begin(session, "192.0.2.7", pushed=True)
            for is_first in (True, False):
                try:
                    await requests.take_pushed_request(session, uri, "app_1", NOW + after * SECOND)
                except OAuthError as refused:
                    assert refused.code == "invalid_request_uri"
                    assert not (is_first and accepted)
                else:
                    assert is_first and accepted


async def test_a_request_is_open_for_half_an_hour_in_its_browser(sessions: Sessions) -> None:
    async with sessions() as session:
        name, pushed = await begin(session, None), await begin(session, None, pushed=True)
        for after, is_found in ((0, True), (1799, True), (1800, False)):
            found = await requests.find_request(session, name, BROWSER, NOW + after * SECOND)
            assert (found is not None) is is_found
        for other, browser in (
            (name, "another"),
            (name, None),
            (name, ""),
            (pushed, BROWSER),
            ("0" * 48, BROWSER),
            NOT_UTF8,
        ):
            assert await requests.find_request(session, other, browser, NOW) is None
        for uri in (
            name,
            f"{requests.URN}{name}",
            requests.URN,
            pushed.removeprefix(requests.URN),
            f"{pushed}0",
            SURROGATE,
        ):
            with pytest.raises(OAuthError):
                await requests.take_pushed_request(session, uri, "app_1", NOW)
        with pytest.raises(OAuthError):
            await requests.take_pushed_request(session, pushed, "app_2", NOW)
        assert await is_open(session, name), "no other app and no other endpoint uses it"
        assert (await requests.take_pushed_request(session, pushed, "app_1", NOW)).client_id == "app_1"
        assert await requests.finish_request(session, name)
        assert not await requests.finish_request(session, name)


async def test_expired_requests_are_deleted(sessions: Sessions) -> None:
    async with sessions() as session:
        for _ in range(5):
            await begin(session, "192.0.2.7", pushed=True)
        await requests.push_request(session, OpenRequest("app_1", {}), UNKNOWN, NOW + 60 * SECOND)
        assert await stored(session) == [UNKNOWN]


# Those who flood, and those who do not. The many addresses of a flood are in few networks.
FLOODS: dict[str, tuple[list[str | None], list[str]]] = {
    "one address": (["198.51.100.7"], ["198.51.100.8", "203.0.113.1"]),
    "addresses of a network": ([f"198.51.100.{n}" for n in range(1, 200)], ["198.51.101.1", "203.0.113.1"]),
    "networks of a provider": ([f"198.51.{n}.1" for n in range(200)], ["198.52.0.1", "2001:db8::1"]),
    "a prefix of IPv6": ([f"2001:db8:1:{n:x}::1" for n in range(1, 200)], ["2001:db8:2:1::1", "203.0.113.1"]),
    "prefixes of a provider": ([f"2001:db8:{n:x}::1" for n in range(1, 200)], ["2001:db9::1", "203.0.113.1"]),
    "four networks": ([f"{n}.7.8.9" for n in range(1, 5)], ["203.0.113.1", "198.51.100.1"]),
    "unknown addresses": ([None], ["203.0.113.1", "2001:db8::1"]),
}


async def test_a_flood_takes_the_place_of_its_own_requests_alone(sessions: Sessions) -> None:
    for flood, (attackers, others) in FLOODS.items():
        async with sessions() as session:  # which is not committed
            names = [await begin(session, address) for address in others]
            for number in range(2 * LIMIT):
                last = await begin(session, attackers[number % len(attackers)])
                if number == LIMIT:
                    names += [await begin(session, address) for address in others]
            assert [await is_open(session, name) for name in names] == [True] * 4, flood
            assert await is_open(session, last), "the newest is open, and not refused"
            assert len(await stored(session)) <= LIMIT, flood


async def test_a_flood_for_one_app_leaves_the_requests_for_others_from_the_same_address(sessions: Sessions) -> None:
    async with sessions() as session:
        name = await begin(session, "192.0.2.7", "app_2")
        for _ in range(2 * LIMIT):
            await begin(session, "192.0.2.7")
        assert await is_open(session, name)
        # An attacker may invent the URLs of documents, so that apps alone would divide nothing.
        other = await begin(session, "192.0.2.8", "app_2")
        for number in range(2 * LIMIT):
            await begin(session, "192.0.2.7", f"https://app.example/{number}")
        assert await is_open(session, other)


async def test_pushed_requests_count_too(sessions: Sessions) -> None:
    async with sessions() as session:
        name = await begin(session, "192.0.2.8")
        for number in range(2, 2 * LIMIT):
            await begin(session, "192.0.2.7", pushed=True)
            assert len(await stored(session)) == min(number, LIMIT), "one makes room for one"
        assert await is_open(session, name)


async def test_requests_that_were_answered_do_not_count(sessions: Sessions) -> None:
    async with sessions() as session:
        names = [await begin(session, f"192.0.2.{n}") for n in range(LIMIT - 1)]
        for _ in range(5):
            assert await requests.finish_request(session, await begin(session, "192.0.2.200"))
        assert all([await is_open(session, name) for name in names])


async def test_requests_at_the_same_time_do_not_wait_for_each_other(sessions: Sessions) -> None:
    async def commit(number: int) -> None:
        async with sessions() as session:
            await begin(session, f"198.51.100.{number % 7}", pushed=number % 2 == 0)
            await session.commit()

    async with sessions() as session:
        for number in range(LIMIT):
            await begin(session, f"192.0.2.{number}")
        await session.commit()
    await asyncio.gather(*map(commit, range(2 * LIMIT)))
    async with sessions() as session:
        found = Counter(origin[: WIDTHS[1]] for origin in await stored(session))
    assert len(found) == 2, "of both networks some are left"
