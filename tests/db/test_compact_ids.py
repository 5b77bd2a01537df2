"""Ids as few bytes: each is read unchanged, and no two have the same bytes."""

from __future__ import annotations

import random
import string
import time
from uuid import UUID

import pytest

from app.db.compact_ids import INDEXED, TIMED_BYTES, compact, compact_request_id, expand, expand_request_id
from app.http.door.request_id import _new_id

_draw = random.Random(7)
_PRINTABLE = string.ascii_letters + string.digits + string.punctuation + " é€𝄞"
IDS = {
    "",
    "r",
    "a" * 9,
    "sess_2abcdef",
    *("".join(_draw.choices("0123456789abcdef", k=size)) for size in range(44)),
    *("".join(_draw.choices("0123456789ABCDEF", k=size)) for size in (20, 24, 32)),
    *("".join(_draw.choices(_PRINTABLE, k=size)) for size in range(40)),
    *(str(UUID(int=_draw.getrandbits(128))) for _ in range(5)),
    str(UUID(int=_draw.getrandbits(128))).upper(),
    "0" * 20,
    "0" * 24,
    "0" * 32,
    f"{'0' * 22} 1",
    f"{'0' * 23}\u0661",
    "x" * 512,
}


@pytest.mark.parametrize("text", sorted(IDS))
def test_an_id_is_read_unchanged(text: str) -> None:
    assert expand(compact(text)) == text


def test_different_ids_have_different_bytes() -> None:
    assert len({compact(text) for text in IDS}) == len(IDS)


def test_digits_and_uuids_take_half_the_space() -> None:
    assert [len(compact(text)) for text in ("0" * 20, "f" * 24, "a" * 32, str(UUID(int=5)))] == [10, 12, 16, 17]


@pytest.mark.parametrize("form", ["{:032x}", "00000000-0000-0000-0000-{:012x}", "gateway-{}", "{:020x}"])
def test_the_indexed_bytes_differ_between_the_ids_of_a_client(form: str) -> None:
    assert len({compact(form.format(number))[INDEXED] for number in range(300)}) > 290


NOW = 1_795_000_123_456_789


@pytest.mark.parametrize("at", [0, 1, NOW, 2**24, 2**24 - 1, 2**31 * 10**6, 2**55, -5])
def test_a_request_id_is_read_unchanged_whatever_the_time_of_its_decision(at: int) -> None:
    for text in IDS:
        assert expand_request_id(compact_request_id(text, at), at) == text
    for delay in (-(2**24), -1, 0, 1, 77, 65_535, 1_999_999, 2_000_000, 2**24 - 1, 2**24, 2**25):
        text = f"{max(at - delay, 0):014x}{_draw.getrandbits(40):010x}"
        assert expand_request_id(compact_request_id(text, at), at) == text


def test_an_id_of_our_own_takes_a_third_of_the_space() -> None:
    before = time.time_ns() // 1000
    own = _new_id()
    assert len(compact_request_id(own, time.time_ns() // 1000)) == TIMED_BYTES
    assert len(compact_request_id(own, before - 1)) > TIMED_BYTES, "of the future"
    assert len(compact_request_id(own, before + 3_000_000)) > TIMED_BYTES, "of a request that waited"
    assert all(len(compact(text)) != TIMED_BYTES for text in IDS)
