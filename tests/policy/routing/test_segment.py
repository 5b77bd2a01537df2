"""Segments of text and parameters: matching and overlap."""

from __future__ import annotations

from itertools import pairwise, product

import pytest

from app.policy.routing.segment import Composite, composite

# The letters and the maximum length of the tried texts.
LETTERS = "ab-"
LONGEST = 6
TEXTS = ["".join(each) for length in range(1, LONGEST + 1) for each in product(LETTERS, repeat=length)]
SEGMENTS = [
    *("{x}a", "{x}b", "{x}-a", "{x}-b", "{x}a-", "{x}b-", "{x}ab", "{x}bb", "{x}-ab", "{x}bab"),
    *("a{x}", "b{x}", "ab{x}", "aa{x}", "a-{x}", "a{x}a", "a{x}b", "ab{x}ab", "b{x}-b"),
    *("{x}-{y}", "{x}a{y}", "a{x}-{y}", "{x}-{y}b", "a{x}-{y}b", "{x}ab{y}", "{x}-{y}-{z}", "{x}-{y}ab"),
]


def readings(segment: Composite, text: str) -> list[tuple[str, ...]]:
    """Every way to match the parameters of a segment to a text, by brute force."""
    first, *rest = segment.texts
    if not text.startswith(first):
        return []
    return [values for values, end in _from(text, len(first), rest) if end == len(text)]


def _from(text: str, at: int, rest: list[str]) -> list[tuple[tuple[str, ...], int]]:
    if not rest:
        return [((), at)]
    piece, *others = rest
    return [
        ((text[at:end], *values), stop)
        for end in range(at + 1, len(text) + 1)
        if text.startswith(piece, end)
        for values, stop in _from(text, end + len(piece), others)
    ]


@pytest.mark.parametrize("segment", SEGMENTS)
def test_values_are_those_of_the_only_reading(segment: str) -> None:
    parts = composite(segment)
    for text in TEXTS[:: 1 if len(parts.names) == 1 else 2]:
        found = readings(parts, text)
        expected = None if not found else found[0] if len(found) == 1 else ()
        assert parts.values(text) == expected, text


MATCHED = {segment: frozenset(text for text in TEXTS if readings(composite(segment), text)) for segment in SEGMENTS}


@pytest.mark.parametrize("one", SEGMENTS)
def test_two_segments_overlap_if_a_text_matches_both(one: str) -> None:
    for other in SEGMENTS:
        # Two segments of two texts each need longer texts than are tried.
        if sum(composite(each).length + len(composite(each).names) for each in (one, other)) <= LONGEST:
            assert composite(one).meets(composite(other)) is bool(MATCHED[one] & MATCHED[other]), other


@pytest.mark.parametrize("one", SEGMENTS)
def test_a_segment_that_includes_another_matches_all_that_the_other_matches(one: str) -> None:
    for other in SEGMENTS:
        assert composite(one).includes(composite(other)) is (MATCHED[other] <= MATCHED[one]), other


@pytest.mark.parametrize(
    ("endings", "meet"),
    [
        (("ab", "b"), True),
        (("ab", "cb"), False),
        (("acb", "ab"), False),
        (("xyz", "az"), False),
        (("xyz", "yz"), True),
        (("abcd", "bd"), False),
        (("abcd", "cd"), True),
        ((".tar.gz", ".gz"), True),
        ((".tar.gz", ".xz"), False),
        ((".tar.gz", "az"), False),
        ((":cancel", ":el"), False),
        ((":cancel", "cl"), False),
    ],
)
def test_endings_are_compared_from_the_end(endings: tuple[str, str], meet: bool) -> None:
    for one, other in pairwise((*endings, endings[0])):
        assert Composite(("", one), ("x",)).meets(Composite(("", other), ("y",))) is meet
        assert Composite((one[::-1], ""), ("x",)).meets(Composite((other[::-1], ""), ("y",))) is meet


@pytest.mark.parametrize(
    ("segment", "texts", "names"),
    [
        ("{x}", ("", ""), ("x",)),
        ("a{x}", ("a", ""), ("x",)),
        ("{x}-{y}b", ("", "-", "b"), ("x", "y")),
        ("a{x}-{y}.{z}", ("a", "-", ".", ""), ("x", "y", "z")),
    ],
)
def test_a_segment_is_texts_with_names_between_them(
    segment: str, texts: tuple[str, ...], names: tuple[str, ...]
) -> None:
    assert composite(segment) == Composite(texts, names)
