"""Positions of texts as editors count them."""

from __future__ import annotations

import random
import re

import pytest
from lsprotocol.types import Position

from app.cli.lsp.positions import EditorText, Encoding

ENCODINGS: tuple[Encoding, ...] = ("utf-8", "utf-16", "utf-32")
UNITS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}


def place_by_units(text: str, index: int, encoding: Encoding) -> Position:
    """The position of an index of a text: lines end with LF, CR LF or CR (the protocol's section on text documents)."""
    ends = [match.end() for match in re.finditer(r"\r\n|\n|\r", text) if match.end() <= index]
    start = ends[-1] if ends else 0
    name, size = UNITS[encoding]
    return Position(len(ends), len(text[start:index].encode(name)) // size)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_place_of_random_texts_is_where_the_protocol_has_it(encoding: Encoding) -> None:
    chosen = random.Random(encoding)
    for _ in range(200):
        text = "".join(
            chosen.choices(["a", ",", "é", "\U0001f600", "\n", "\r\n", "\r", "\u2028", "\x0b"], k=chosen.randrange(20))
        )
        editor = EditorText(text, encoding)
        for number, line in enumerate(text.split("\n"), 1):
            plain = line.removesuffix("\r")
            start = sum(len(each) + 1 for each in text.split("\n")[: number - 1])
            for column in range(1, len(plain) + 2):
                position = editor.position(number, column)
                assert position == place_by_units(text, start + column - 1, encoding), (text, number, column)
                assert editor.place(position) == (number, column), (text, number, column)


@pytest.mark.parametrize(
    ("position", "place"),
    [
        (Position(0, 99), (1, 3)),
        (Position(1, 1), (2, 1)),  # within a character of two units
        (Position(1, 2), (2, 2)),
        (Position(99, 0), (4, 1)),
        (Position(2**31 - 1, 2**31 - 1), (4, 1)),
    ],
)
def test_a_position_outside_of_the_text_is_moved_into_it(position: Position, place: tuple[int, int]) -> None:
    assert EditorText("ab\n\U0001f600\nc", "utf-16").place(position) == place


@pytest.mark.parametrize(
    ("place", "position"), [((0, 0), Position(0, 0)), ((9, 9), Position(1, 1)), ((1, 99), Position(0, 2))]
)
def test_a_place_outside_of_the_text_is_moved_into_it(place: tuple[int, int], position: Position) -> None:
    assert EditorText("ab\nc", "utf-16").position(*place) == position
