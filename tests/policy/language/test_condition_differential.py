"""Seeded random conditions: the checker and the CEL library must agree, and a checked condition has no type errors.

The oracle is the library itself, with the unchanged text and the complete context as nested dictionaries.
`scripts/fuzz/main.py --target conditions` compares them for as long as wanted.
"""

from __future__ import annotations

import random

import cel
import pytest

from app.policy.language.when.condition import ConditionFault, compile_condition
from tests.policy.random_conditions import ERROR, PIECES, Misfitted, Writer, a_context, by_the_library_alone, by_us

SEEDS = range(4)
CASES = 60


@pytest.mark.parametrize("seed", SEEDS)
def test_a_checked_condition_never_has_a_type_error(seed: int) -> None:
    chance = random.Random(seed)
    outcomes = set()
    for _ in range(CASES):
        text = Writer(chance, loose=False).of("bool", 3)
        condition = compile_condition(text)
        if isinstance(condition, ConditionFault):
            # It is well typed, so only a constant can be invalid, or the text too long.
            assert condition.message.endswith(("is not a valid int", "is not a valid double", "the limit is 1000")), (
                text,
                condition,
            )
            continue
        for _ in range(3):
            context = a_context(chance)
            expected = by_the_library_alone(text, context)
            assert by_us(condition, context) == expected, text
            outcomes.add(expected)
    assert outcomes == {True, False, ERROR}


@pytest.mark.parametrize("seed", SEEDS)
def test_extracting_paths_does_not_change_results(seed: int) -> None:
    chance = random.Random(1000 + seed)
    outcomes = set()
    for _ in range(CASES):
        text = Writer(chance, loose=True).of("bool", 3)
        condition = compile_condition(text)
        if isinstance(condition, ConditionFault):
            continue
        for _ in range(3):
            context = a_context(chance)
            try:
                expected = by_the_library_alone(text, context)
            except Misfitted:
                expected = ERROR
            assert by_us(condition, context) == expected, text
            outcomes.add(expected)
    assert outcomes == {True, False, ERROR}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_checker_accepts_nothing_that_the_library_refuses(seed: int) -> None:
    chance = random.Random(2000 + seed)
    taken = 0
    for _ in range(CASES * 3):
        text = Writer(chance, loose=True).of("bool", 2)
        for _ in range(chance.randrange(3)):
            place = chance.randrange(len(text) + 1)
            text = text[:place] + chance.choice(PIECES) + text[place + chance.randrange(3) :]
        result = compile_condition(text)
        if isinstance(result, ConditionFault):
            assert result.message
            assert "please report it" not in result.hint, text
            assert 0 <= result.offset <= len(text), text
            assert result.length >= 1, text
            assert result.offset + result.length <= len(text) + 1, text
        else:
            taken += 1
            cel.compile(text)
    assert 0 < taken < CASES * 3
