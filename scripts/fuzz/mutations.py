"""Strategies that start from valid inputs and change them: bytes, lines, words, numbers, repetitions and nesting."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

MAX_CHANGES = 6
MAX_BYTES = 200_000
_REPEATS = (2, 3, 10, 100, 1_000, 10_000, 100_000)
_WORD = re.compile(rb"[A-Za-z0-9_]+")
_NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")

# What parsers, terminals and databases have taken for something else.
_TEXTS = (
    *("\0", "\x01", "\x1b[2K", "\x7f", "\x85", "\xa0", "\xad", "\u0130", "\u017f", "\u0660", "\u200b", "\u200d"),
    *("\u2028", "\u202e", "\u2066", "\u3164", "\ud800", "\udfff", "\ufeff", "\ufffd", "\uffff", "\uff0f", "\uff41"),
    *("\U0001f600", "\U000e0064", "\U0010ffff", "e\u0301", "\u1e9e", "\ufb03"),
)
UNICODE = (
    *(text.encode("utf-8", "surrogatepass") for text in _TEXTS),
    *(
        b"\xff",
        b"\xfe\xff",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82",
        b"\r",
        b"\r\n",
        b"\n",
        b"\t",
    ),
)
NUMBERS = (
    *(b"0", b"-0", b"-1", b"1", b"1.0", b"1e999", b"-1e999", b"1e-999", b"0.1", b"00", b"+1", b"0x10", b"1_0", b"NaN"),
    *(b"2147483648", b"4294967296", b"9007199254740993", b"9223372036854775807", b"9223372036854775808"),
    *(b"-9223372036854775809", b"18446744073709551616", b"253402300800", b"Infinity", b"1" + b"0" * 400, b"9" * 5_000),
)
NESTING = ((b"[", b"]"), (b"{", b"}"), (b"(", b")"), (b'{"a":', b"}"), (b"!", b""), (b"- ", b""), (b"{a: ", b"}"))
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 1.5, 1e300, -0.0, 253402300800),
    *(
        "",
        " ",
        "a",
        "*",
        "/",
        "true",
        "null",
        "0",
        "\0",
        "a" * 300,
        "\u202e",
        "\U0001f600",
        "{}",
        "catalog:read",
        "role:admin",
    ),
    *([], [None], [[]], {}, {"": None}, {"a": {"b": []}}, ["a", 1], ["a"] * 50),
)


@st.composite
def mutated(draw: DrawFn, bases: Sequence[bytes], words: Sequence[bytes] = (), most: int = MAX_BYTES) -> bytes:
    """One of these inputs with up to MAX_CHANGES changes, of at most so many bytes."""
    data = draw(st.sampled_from(bases))
    for change in draw(st.lists(st.sampled_from(_CHANGES), max_size=MAX_CHANGES)):
        data = change(draw, data, bases, words)[:most]
    return data


_Change = Callable[[DrawFn, bytes, Sequence[bytes], Sequence[bytes]], bytes]


def _span(draw: DrawFn, data: bytes, longest: int = 64) -> tuple[int, int]:
    start = draw(st.integers(0, len(data)))
    return start, min(len(data), start + draw(st.integers(0, longest)))


def _set_byte(draw: DrawFn, data: bytes, _bases: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    at, _ = _span(draw, data)
    return data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]


def _flip_bit(draw: DrawFn, data: bytes, _bases: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    at, _ = _span(draw, data)
    flipped = bytes([byte ^ (1 << draw(st.integers(0, 7))) for byte in data[at : at + 1]])
    return data[:at] + flipped + data[at + 1 :]


def _insert(draw: DrawFn, data: bytes, _bases: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    at, _ = _span(draw, data)
    more = draw(st.sampled_from([*words, *UNICODE, *NUMBERS]) | st.binary(max_size=8))
    return data[:at] + more + data[at:]


def _delete(draw: DrawFn, data: bytes, _bases: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    start, end = _span(draw, data)
    return data[:start] + data[end:]


def _truncate(draw: DrawFn, data: bytes, _bases: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    return data[: draw(st.integers(0, len(data)))]


def _splice(draw: DrawFn, data: bytes, bases: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    other = draw(st.sampled_from(bases))
    at, (start, end) = draw(st.integers(0, len(data))), _span(draw, other, 2_000)
    return data[:at] + other[start:end] + data[at if draw(st.booleans()) else at + end - start :]


def _repeat(draw: DrawFn, data: bytes, _bases: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    start, end = _span(draw, data)
    times = draw(st.sampled_from(_REPEATS))
    return data[:start] + data[start:end] * min(times, MAX_BYTES // max(1, end - start)) + data[end:]


def _nest(draw: DrawFn, data: bytes, _bases: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    start, end = _span(draw, data)
    opening, closing = draw(st.sampled_from(NESTING))
    times: int = draw(st.sampled_from(_REPEATS[:-1]))
    return data[:start] + opening * times + data[start:end] + closing * times + data[end:]


def _replace_word(draw: DrawFn, data: bytes, _bases: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    return _replace(draw, data, _WORD, [*words, *UNICODE, *NUMBERS, b""])


def _replace_number(draw: DrawFn, data: bytes, _bases: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    return _replace(draw, data, _NUMBER, NUMBERS)


def _replace(draw: DrawFn, data: bytes, pattern: re.Pattern[bytes], by: Sequence[bytes]) -> bytes:
    found = list(pattern.finditer(data[:20_000]))
    if not found:
        return data
    match = draw(st.sampled_from(found))
    new: bytes = draw(st.sampled_from(by))
    return data[: match.start()] + new + data[match.end() :]


def _move_line(draw: DrawFn, data: bytes, bases: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    """A line twice, elsewhere, gone, or in the place of another."""
    lines = data.split(b"\n")
    source = draw(st.sampled_from([lines, draw(st.sampled_from(bases)).split(b"\n")]))
    line = source[draw(st.integers(0, len(source) - 1))]
    at = draw(st.integers(0, len(lines)))
    kept = draw(st.sampled_from([[], [line], [line] * 2, [line] * 300]))
    return b"\n".join([*lines[:at], *kept, *lines[at + draw(st.integers(0, 1)) :]])


_CHANGES: tuple[_Change, ...] = (
    *(_set_byte, _flip_bit, _insert, _delete, _truncate, _splice, _repeat, _nest),
    *(_replace_word, _replace_number, _move_line),
)


def json_values() -> SearchStrategy[Any]:
    """Values of JSON, hostile ones among them."""
    leaves = st.sampled_from(VALUES) | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=8,
    )


@st.composite
def mutated_json(draw: DrawFn, bases: Sequence[Any], keys: Sequence[str] = ()) -> bytes:
    """One of these values as JSON, with up to MAX_CHANGES members that are replaced, added, moved or gone."""
    value = json.loads(json.dumps(draw(st.sampled_from(bases))))
    for _ in range(draw(st.integers(0, MAX_CHANGES))):
        value = _edited(draw, value, keys)
    options: list[dict[str, Any]] = [{}, {"separators": (",", ":")}, {"indent": 1}, {"ensure_ascii": False}]
    return json.dumps(value, **draw(st.sampled_from(options))).encode("utf-8", "surrogatepass")


def _edited(draw: DrawFn, value: Any, keys: Sequence[str]) -> Any:
    holders = [each for each in _within(value) if isinstance(each, dict | list)]
    if not holders:
        return json.loads(json.dumps(draw(json_values())))
    holder = draw(st.sampled_from(holders))
    # A copy: what a strategy hands out is the same object each time.
    new = json.loads(json.dumps(draw(json_values() | st.sampled_from([value, holder]))))
    if isinstance(holder, dict):
        known = sorted({*holder, *keys}) or [""]
        key = draw(st.sampled_from(known))
        if draw(st.integers(0, 3)):
            holder[key] = new
        else:
            holder.pop(key, None)
    elif holder and not draw(st.integers(0, 3)):
        del holder[draw(st.integers(0, len(holder) - 1))]
    else:
        holder.insert(draw(st.integers(0, len(holder))), new)
    return value


def _within(value: Any) -> list[Any]:
    found = [value]
    for each in found:
        found.extend(each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())
    return found
