"""The lines of a text that differ from those of its previous version."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TextEdit:
    """The part of two texts between the lines that they have in common at the start and at the end.

    `first` is the number of its first line, counted from 1, in both texts. `last_before` and `last_now` are the numbers
    of its last line in the previous text and in the new one, one less than `first` if it has none.
    """

    before: str
    now: str
    first: int
    last_before: int
    last_now: int


def edit_between(before: str, now: str) -> TextEdit:
    """Compare two texts whose lines end with a line feed."""
    same = _common_length(before, now, from_end=False)
    start = now.rfind("\n", 0, same) + 1
    most = min(len(before), len(now)) - start
    same = min(_common_length(before, now, from_end=True), most)
    left = same
    if not (_is_line_start(before, len(before) - same) and _is_line_start(now, len(now) - same)):
        end_of_line = now.find("\n", len(now) - same)
        left = len(now) - end_of_line - 1 if end_of_line >= 0 else 0
    end_before, end_now = len(before) - left, len(now) - left
    lines = now.count("\n", 0, start)
    return TextEdit(
        before[start:end_before],
        now[start:end_now],
        lines + 1,
        lines + before.count("\n", start, end_before),
        lines + now.count("\n", start, end_now),
    )


def _is_line_start(text: str, at: int) -> bool:
    return at == 0 or text[at - 1] == "\n"


def _common_length(one: str, other: str, *, from_end: bool) -> int:
    """How many characters two texts have in common at the start or at the end."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if from_end:
            is_same = other.startswith(one[len(one) - middle : len(one) - low], len(other) - middle)
        else:
            is_same = other.startswith(one[low:middle], low)
        if is_same:
            low = middle
        else:
            high = middle - 1
    return low
