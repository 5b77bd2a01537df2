"""The part of a text that an edit changed, compared with the lines of both texts."""

from __future__ import annotations

import random
from itertools import takewhile

from app.policy.language.text_edit import edit_between


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _common(one: list[str], other: list[str]) -> list[str]:
    return [line for line, _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))]


def _edited(lines: list[str], rng: random.Random) -> list[str]:
    start, end = sorted((rng.randint(0, len(lines)), rng.randint(0, len(lines))))
    return [*lines[:start], *rng.choices(("", "a", "ab", "b", "ba"), k=rng.randint(0, 3)), *lines[end:]]


def test_an_edit_is_what_lies_between_the_equal_lines_of_both_texts() -> None:
    rng = random.Random(16)
    for _ in range(3_000):
        before = rng.choices(("", "a", "ab", "aab"), k=rng.randint(0, 8))
        now = rng.choice((_edited(before, rng), rng.choices(("", "a", "ab", "b"), k=rng.randint(0, 8))))
        edit = edit_between(_text(before), _text(now))
        head = edit.first - 1
        assert before[:head] == now[:head] == _common(before, now)
        assert edit.before == _text(before[head : edit.last_before])
        assert edit.now == _text(now[head : edit.last_now])
        tail = now[edit.last_now :]
        assert before[edit.last_before :] == tail
        rest = _common(before[head:][::-1], now[head:][::-1])
        assert tail == rest[::-1]
