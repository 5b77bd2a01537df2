"""Ids as few bytes: each is read unchanged, and no two have the same bytes."""

from __future__ import annotations

import random
import string
from uuid import UUID

import pytest

from app.db.compact_ids import INDEXED, compact, expand

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
