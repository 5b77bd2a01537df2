"""Pagination of searches: tokens, each a position in the candidates of a search, and the next page from there."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

import msgspec

from app.audit.give_way import GiveWay, yield_to_loop
from app.http.api.authzen.wire import RequestedPage
from app.http.door.time_slice import TimeSlice
from app.http.wire.cursors import decode, encode
from app.http.wire.problems import Problem

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
MAX_EXAMINED = 10_000  # candidates in a request, after which the page ends
_BATCH_SIZE = 500  # candidates in a fetch
_DIGEST_BYTES = 16
_MAX_TOKEN = 4096
_ENCODER = msgspec.json.Encoder(order="deterministic", enc_hook=dict)


@dataclass(frozen=True, slots=True)
class CandidateSource:
    """A source of candidates: `fetch` returns those after a candidate, up to a limit. Those in `skip` are omitted."""

    fetch: Callable[[str, int], Awaitable[Sequence[str]]]
    skip: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class CandidatePosition:
    """The position after a candidate of a source; the start of the source if `after` is empty."""

    source: int = 0
    after: str = ""


@dataclass(frozen=True, slots=True)
class AllowedCandidates:
    """The allowed candidates of a page, and the position of the next page; None at the end."""

    ids: list[str]
    next: CandidatePosition | None


def query_digest(query: tuple[object, ...]) -> bytes:
    """A digest of a search. A token is valid for this search only, under any policy and for any page size."""
    return hashlib.sha256(_ENCODER.encode(query)).digest()[:_DIGEST_BYTES]


def limit_of(page: RequestedPage) -> int:
    """The number of results in a page. Raises Problem 400."""
    limit = page.limit if isinstance(page.limit, int) else DEFAULT_LIMIT
    if limit < 1:
        raise Problem(400, "`page.limit` must be at least 1.")
    return min(limit, MAX_LIMIT)


def write_token(position: CandidatePosition | None, query: bytes) -> str:
    """The token of a position; empty for the end."""
    if position is None:
        return ""
    return encode(query + f"{position.source}:{position.after}".encode())


def read_token(token: object, query: bytes) -> CandidatePosition:
    """The position of a token; the start if there is no token. Raises Problem 400 for an invalid token."""
    if not isinstance(token, str) or not token:
        return CandidatePosition()
    try:
        raw = decode(token, _MAX_TOKEN)
        source, _, after = raw[_DIGEST_BYTES:].decode().partition(":")
        position = CandidatePosition(int(source), after)
        # Tokens are not signed: a forged one only starts at another candidate that the caller may see anyway.
        if not after.isprintable() or write_token(position, query) != token:
            raise ValueError
    except ValueError:
        raise Problem(400, "`page.token` is not of this search: send `next_token` with the same search.") from None
    return position


async def find_allowed(
    sources: Sequence[CandidateSource],
    start: CandidatePosition,
    limit: int,
    allowed: Callable[[str], bool],
    give_way: GiveWay = yield_to_loop,
) -> AllowedCandidates:
    """The allowed candidates from a position on, up to the limit."""
    found: list[str] = []
    examined, time_slice = 0, TimeSlice(give_way)
    for number, source in enumerate(sources):
        if number < start.source:
            continue
        after = start.after if number == start.source else ""
        while candidates := await source.fetch(after, _BATCH_SIZE):
            for candidate in candidates:
                if examined == MAX_EXAMINED:
                    return AllowedCandidates(found, CandidatePosition(number, after))
                if candidate not in source.skip and allowed(candidate):
                    if len(found) == limit:
                        return AllowedCandidates(found, CandidatePosition(number, after))
                    found.append(candidate)
                examined += 1
                after = candidate
                if time_slice.is_over:
                    await time_slice.next()
            if len(candidates) < _BATCH_SIZE:
                break
    return AllowedCandidates(found, None)
