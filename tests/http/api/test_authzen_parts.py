"""The parts of AuthZEN searches and batches: pages, budgets and caches."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import UNSET

from app.http.api.authzen.budget import Sizes, check_items, check_search
from app.http.api.authzen.page import (
    CandidatePosition,
    CandidateSource,
    find_allowed,
    limit_of,
    query_digest,
    read_token,
    write_token,
)
from app.http.api.authzen.recent import Recent
from app.http.api.authzen.wire import NOTHING, AccessQuestion, RequestedAction, RequestedEntity, RequestedPage
from app.http.wire.problems import Problem
from tests.policy.small import snapshot

pytestmark = pytest.mark.anyio

QUERY, OTHER = query_digest(("subject", "user")), query_digest(("subject", "key"))
NO_TOKEN = "`page.token` is not of this search: send `next_token` with the same search."


@pytest.mark.parametrize(
    ("stated", "limit"), [(UNSET, 100), (1, 1), (2, 2), (999, 999), (1000, 1000), (1001, 1000), (10**9, 1000)]
)
def test_the_number_of_results_of_a_page_is_bounded(stated: Any, limit: int) -> None:
    assert limit_of(RequestedPage(limit=stated)) == limit


@pytest.mark.parametrize("stated", [0, -1])
def test_a_page_has_at_least_one_result(stated: int) -> None:
    with pytest.raises(Problem) as refused:
        limit_of(RequestedPage(limit=stated))
    assert (refused.value.status, refused.value.detail) == (400, "`page.limit` must be at least 1.")


@pytest.mark.parametrize(
    "place",
    [
        CandidatePosition(),
        CandidatePosition(0, "a"),
        CandidatePosition(1, "é:b"),
        CandidatePosition(12, " "),
        CandidatePosition(0, "a" * 3_000),
    ],
)
def test_a_token_encodes_a_position_of_one_search(place: CandidatePosition) -> None:
    token = write_token(place, QUERY)
    assert read_token(token, QUERY) == place
    assert urlsafe_b64decode(token + "=" * (-len(token) % 4))[:16] == QUERY
    assert len(QUERY) == 16
    with pytest.raises(Problem):
        read_token(token, OTHER)


@pytest.mark.parametrize(("size", "is_taken"), [(4_096, True), (4_099, False)])
def test_the_length_of_a_token_is_bounded(size: int, is_taken: bool) -> None:
    after = "a" * (size * 3 // 4 - 18)
    token = write_token(CandidatePosition(0, after), QUERY)
    assert len(token) == size
    if is_taken:
        assert read_token(token, QUERY) == CandidatePosition(0, after)
    else:
        with pytest.raises(Problem):
            read_token(token, QUERY)


def encoded(text: bytes) -> str:
    return urlsafe_b64encode(text).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "token",
    [
        "a", "é", "!!!!", write_token(CandidatePosition(0, "ab"), QUERY) + "=",
        write_token(CandidatePosition(0, "ab"), QUERY) + "A",
        encoded(QUERY), encoded(QUERY + b"0"), encoded(QUERY + b"x:a"), encoded(QUERY + b"00:a"),
        encoded(QUERY + b"+1:a"),
        encoded(QUERY + b" 1:a"), encoded(QUERY + b"0:a\n"), encoded(QUERY + b"0:\x00"), encoded(QUERY + b"0:\xff"),
        encoded(QUERY[:-1] + b"0:a"), encoded(b"0:a"),
    ],
)  # fmt: skip
def test_a_token_of_another_search_is_refused(token: str) -> None:
    with pytest.raises(Problem) as refused:
        read_token(token, QUERY)
    assert (refused.value.status, refused.value.detail) == (400, NO_TOKEN)


def test_a_search_begins_and_ends_without_a_token() -> None:
    for none in (UNSET, "", None, 7):
        assert read_token(none, QUERY) == CandidatePosition(0, "")
    assert write_token(None, QUERY) == ""


class Names:
    """A source of names that records the size of each fetch."""

    def __init__(self, *names: str, skip: Sequence[str] = ()) -> None:
        self.names = sorted(names)
        self.fetched: list[tuple[str, int]] = []
        self.source = CandidateSource(self.fetch, skip)

    async def fetch(self, after: str, limit: int) -> Sequence[str]:
        """The first names after one."""
        self.fetched.append((after, limit))
        return [name for name in self.names if name > after][:limit]


async def test_candidates_come_from_the_sources_in_order() -> None:
    first, second = Names("a", "b", "c"), Names("a", "b", "d", skip=("a", "b", "c"))
    sources = [first.source, second.source]
    assert (await find_allowed(sources, CandidatePosition(), 10, lambda _: True)).ids == ["a", "b", "c", "d"]
    assert (await find_allowed(sources, CandidatePosition(), 10, lambda name: name in "bd")).ids == ["b", "d"]
    assert (await find_allowed(sources, CandidatePosition(), 10, lambda _: True)).next is None
    assert (await find_allowed(sources, CandidatePosition(1), 10, lambda _: True)).ids == ["d"]
    assert (await find_allowed(sources, CandidatePosition(0, "b"), 10, lambda _: True)).ids == ["c", "d"]
    assert (await find_allowed(sources, CandidatePosition(1, "d"), 10, lambda _: True)).ids == []
    assert (await find_allowed(sources, CandidatePosition(2), 10, lambda _: True)).ids == []


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
async def test_a_page_ends_before_the_next_allowed_candidate(limit: int) -> None:
    sources = [Names("a", "b", "c").source, Names("d", "x").source]
    place: CandidatePosition | None = CandidatePosition()
    pages: list[list[str]] = []
    while place is not None:
        found = await find_allowed(sources, place, limit, lambda name: name != "x")
        pages.append(found.ids)
        place = found.next
    assert pages == [["a", "b", "c", "d"][start : start + limit] for start in range(0, 4, limit)]


@pytest.mark.parametrize(
    ("count", "fetches"), [(499, 1), (500, 2), (501, 2), (1000, 3), (9_999, 20), (10_000, 21), (10_001, 21)]
)
async def test_candidates_are_fetched_by_500_up_to_10000(count: int, fetches: int) -> None:
    names = Names(*(f"n{number:05}" for number in range(count)))
    looked_at: list[str] = []

    def allowed(name: str) -> bool:
        looked_at.append(name)
        return False

    found = await find_allowed([names.source], CandidatePosition(), 1000, allowed)
    assert found.ids == []
    assert looked_at == names.names[:10_000]
    assert found.next == (CandidatePosition(0, "n09999") if count > 10_000 else None)
    assert (len(names.fetched), {limit for _, limit in names.fetched}) == (fetches, {500})


@pytest.mark.parametrize(
    ("value", "count"),
    [
        ({}, 0), ({"a": 1}, 1), ({"a": None, "b": "x"}, 2), ({"a": [1, 2, 3]}, 4), ({"a": {"b": {"c": [[]]}}}, 4),
        ({"a": [{"b": 1}, {"c": 2}]}, 5),
    ],
)  # fmt: skip
def test_values_are_counted_at_every_depth(value: dict[str, Any], count: int) -> None:
    sizes = Sizes()
    assert (
        sizes.of(value) == sizes.of(RequestedEntity("t", value, "i")) == sizes.of(RequestedAction("n", value)) == count
    )
    assert sizes.of(value, UNSET, RequestedEntity("t", UNSET, "i"), value) == 2 * count
    assert Sizes().of() == 0


@pytest.mark.parametrize(("items", "each"), [(1000, 999), (10, 99_999)])
def test_the_items_of_a_call_have_at_most_a_million_values(items: int, each: int) -> None:
    context = {"a": [0] * each}
    questions = [
        AccessQuestion(
            RequestedEntity("user", UNSET, "u"), RequestedAction("n"), RequestedEntity("t", UNSET, "i"), context
        )
    ] * items
    sizes = Sizes()
    total = sum(sizes.of(item.subject, item.action, item.resource, item.context) for item in questions)
    check_items(total)
    with pytest.raises(Problem) as refused:
        check_items(total + sizes.of({"a": 0}))
    assert refused.value.status == 400
    assert refused.value.detail.startswith(
        "The items have 1000001 values in their attributes and contexts; at most 1000000 "
    )


def values(count: int) -> dict[str, int]:
    return {f"p{number}": number for number in range(count)}


def test_a_search_has_at_most_1000_values_and_100_of_the_searched_entity() -> None:
    check_search(RequestedEntity("t", values(100), "i"), values(900))
    check_search(UNSET, values(1_000))
    for sought, other, detail in (
        (101, 0, "The entity to search for has 101 values; at most 100 are allowed."),
        (100, 901, "The search has 1001 values; at most 1000 are allowed."),
        (0, 1_001, "The search has 1001 values; at most 1000 are allowed."),
    ):
        with pytest.raises(Problem) as refused:
            check_search(RequestedEntity("t", values(sought), "i"), RequestedAction("n", values(other)))
        assert (refused.value.status, refused.value.detail) == (400, detail)


@pytest.mark.parametrize(("others", "is_remembered"), [(4_999, True), (5_000, False)])
def test_5000_subjects_and_targets_are_cached(others: int, is_remembered: bool) -> None:
    recent, policy = Recent(), snapshot("p, c:read, record, read, allow")
    subject = recent.subject(policy, "user", "first", NOTHING)
    target = recent.target(policy, "read", "record", "first")
    for number in range(others):
        recent.subject(policy, "user", str(number), NOTHING)
        recent.target(policy, "read", "record", str(number))
    assert (recent.subject(policy, "user", "first", NOTHING) is subject) is is_remembered
    assert (recent.target(policy, "read", "record", "first") is target) is is_remembered


@pytest.mark.parametrize(("length", "is_remembered"), [(256, True), (257, False)])
def test_long_names_are_not_cached(length: int, is_remembered: bool) -> None:
    recent, policy = Recent(), snapshot("p, c:read, record, read, allow")
    user, record = "u" * (length - len("user")), "r" * (length - len("read" + "record"))
    subject, target = recent.subject(policy, "user", user, NOTHING), recent.target(policy, "read", "record", record)
    assert (recent.subject(policy, "user", user, NOTHING) is subject) is is_remembered
    assert (recent.target(policy, "read", "record", record) is target) is is_remembered
