"""Pages of a search: opaque tokens, each a place in the candidates of one search, and the walk from there."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

import msgspec

from app.http.api.authzen.budget import GiveWay, Turn, turn_loop
from app.http.api.authzen.wire import RequestedPage
from app.http.wire.cursors import decode, encode
from app.http.wire.problems import Problem

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
MAX_EXAMINED = 10_000  # candidates in one call; what is found by then is a page
_AT_A_TIME = 500  # candidates that are fetched at once
_DIGEST_BYTES = 16
_MAX_TOKEN = 4096
_ENCODER = msgspec.json.Encoder(order="deterministic", enc_hook=dict)


@dataclass(frozen=True, slots=True)
class CandidateSource:
    """Where candidates come from: `fetch` gives the first behind one, at most so many, without those to `skip`."""

    fetch: Callable[[str, int], Awaitable[Sequence[str]]]
    skip: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class CandidatePosition:
    """Behind a candidate of a source; the start of that source when `after` is empty."""

    source: int = 0
    after: str = ""


@dataclass(frozen=True, slots=True)
class AllowedCandidates:
    """The candidates that were allowed, and where to go on; None at the end."""

    ids: list[str]
    next: CandidatePosition | None


def query_digest(query: tuple[object, ...]) -> bytes:
    """What a search asks, in short: a token is good for that alone, whatever the policy and the page are."""
    return hashlib.sha256(_ENCODER.encode(query)).digest()[:_DIGEST_BYTES]


def limit_of(page: RequestedPage) -> int:
    """How many results are wanted. Raises Problem 400."""
    limit = page.limit if isinstance(page.limit, int) else DEFAULT_LIMIT
    if limit < 1:
        raise Problem(400, "`page.limit` must be at least 1.")
    return min(limit, MAX_LIMIT)


def write_token(place: CandidatePosition | None, query: bytes) -> str:
    """The token of a place, empty for the end."""
    if place is None:
        return ""
    return encode(query + f"{place.source}:{place.after}".encode())


def read_token(token: object, query: bytes) -> CandidatePosition:
    """The place of a token; the start for none. Raises Problem 400 for what is no token of this search."""
    if not isinstance(token, str) or not token:
        return CandidatePosition()
    try:
        raw = decode(token, _MAX_TOKEN)
        source, _, after = raw[_DIGEST_BYTES:].decode().partition(":")
        place = CandidatePosition(int(source), after)
        # The place is no secret, and a made-up one only starts elsewhere in what the caller may see anyway.
        if not after.isprintable() or write_token(place, query) != token:
            raise ValueError
    except ValueError:
        raise Problem(400, "`page.token` is none of this search: send `next_token` with the same search.") from None
    return place


async def walk(
    sources: Sequence[CandidateSource],
    start: CandidatePosition,
    limit: int,
    allowed: Callable[[str], bool],
    give_way: GiveWay = turn_loop,
) -> AllowedCandidates:
    """The allowed among the candidates from a place on, until there is one more than the limit."""
    found: list[str] = []
    examined, turn = 0, Turn(give_way)
    for number, source in enumerate(sources):
        if number < start.source:
            continue
        after = start.after if number == start.source else ""
        while candidates := await source.fetch(after, _AT_A_TIME):
            for candidate in candidates:
                if examined == MAX_EXAMINED:
                    return AllowedCandidates(found, CandidatePosition(number, after))
                if candidate not in source.skip and allowed(candidate):
                    if len(found) == limit:
                        return AllowedCandidates(found, CandidatePosition(number, after))
                    found.append(candidate)
                examined += 1
                after = candidate
                if turn.is_over:
                    await turn.next()
            if len(candidates) < _AT_A_TIME:
                break
    return AllowedCandidates(found, None)
