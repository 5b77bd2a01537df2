"""Casbin, the judge: before a policy goes live, the engine's verdicts are held against Casbin's.

Whether a rule applies, the engine and Casbin are told alike; what they judge is what follows from the rules that
apply. That depends on the rules' effects alone, so each sequence of effects in the policy is judged once, with every
combination of rules held and conditions met, not met or failing. Beside these a sample of the policy's own rows is
judged as it stands. Deciding then needs no Casbin, which takes some twenty times as long.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeVar

from app.policy.engine.enforcer import Enforcer
from app.policy.engine.expand import Index, Key
from app.policy.engine.verdict import Conditions, held_rules, verdict
from app.policy.language.rule import Rule
from app.policy.language.when.condition import NO_CONTEXT, ConditionError

MAX_COMBINATIONS = 256  # of one sequence of effects; of more a sample is judged
MAX_SHAPES = 200
MAX_SAMPLE = 200  # of the policy's own resources and actions
MAX_RULES = 30  # about one resource and action

_Item = TypeVar("_Item")
_FAILED = ConditionError("the judge lets this condition fail")
_OUTCOMES: tuple[bool | ConditionError, ...] = (True, False, _FAILED)


@dataclass(frozen=True, slots=True)
class Dispute:
    """The engine and Casbin disagree about a caller who holds these grants, which is a defect of one of them."""

    resource: str
    action: str
    held: frozenset[str]
    engine: bool

    def __str__(self) -> str:
        engine = "allows" if self.engine else "denies"
        return f"the engine {engine} {self.action} {self.resource} to a holder of {' '.join(sorted(self.held))!r}"


@dataclass(frozen=True, slots=True)
class _Question:
    key: Key
    held: frozenset[str]
    conditions: Conditions


def disputes(index: Index) -> Iterator[Dispute]:
    """Every question of the trial whose answers differ. It may run beside requests: nothing of it is shared."""
    trial: dict[Key, tuple[Rule, ...]] = {}
    questions = [*_about_shapes(index, trial), *_about_rows(index, trial)]
    casbin = Enforcer(trial)
    for question in questions:
        rules = trial[question.key]
        found = held_rules(rules, question.held)
        engine = bool(verdict(rules, found, question.held, question.conditions, ""))
        if casbin.allows(question.held, *question.key, question.conditions) is not engine:
            yield Dispute(*question.key, question.held, engine)


def _about_shapes(index: Index, trial: dict[Key, tuple[Rule, ...]]) -> Iterator[_Question]:
    """Each sequence of effects, under resources that no policy can name."""
    each = (_some(rules, MAX_RULES) for rules in index.values())
    shapes = {tuple((rule.effect, rule.condition is not None) for rule in rules): rules for rules in each}
    for number, rules in enumerate(_some(list(shapes.values()), MAX_SHAPES)):
        key = (f"|{number}|", "judge")
        apart = tuple(replace(rule, needs=frozenset((f"|{place}|",))) for place, rule in enumerate(rules))
        trial[key] = apart
        choices = [(None, *_OUTCOMES) if rule.condition else (None, True) for rule in apart]
        for outcomes in _combinations(choices):
            conditions = Conditions(NO_CONTEXT)
            held: set[str] = set()
            for rule, outcome in zip(apart, outcomes, strict=True):
                if outcome is not None:
                    held |= rule.needs
                    conditions.settle(rule, outcome)
            yield _Question(key, frozenset(held), conditions)


def _about_rows(index: Index, trial: dict[Key, tuple[Rule, ...]]) -> Iterator[_Question]:
    """Rows as they stand: for a caller who holds nothing, what each of them needs, and all of it."""
    for key in _some(list(index), MAX_SAMPLE):
        rules = trial[key] = tuple(_some(index[key], MAX_RULES))
        every = frozenset(grant for rule in rules for grant in rule.needs)
        for outcome in _OUTCOMES if any(rule.condition for rule in rules) else (True,):
            for held in dict.fromkeys((frozenset[str](), *(rule.needs for rule in rules), every)):
                conditions = Conditions(NO_CONTEXT)
                for rule in rules:
                    conditions.settle(rule, outcome)
                yield _Question(key, held, conditions)


def _combinations(
    choices: list[tuple[bool | ConditionError | None, ...]],
) -> Iterator[tuple[bool | ConditionError | None, ...]]:
    count = 1
    for options in choices:
        count *= len(options)
    if count <= MAX_COMBINATIONS:
        yield from product(*choices)
        return
    chosen = random.Random(count)  # noqa: S311  # a sample, the same at each load; no secret
    for _ in range(MAX_COMBINATIONS):
        yield tuple(chosen.choice(options) for options in choices)


def _some(items: Sequence[_Item], most: int) -> Sequence[_Item]:
    """All items, or as many as may be, spread evenly."""
    return items if len(items) <= most else [items[n * len(items) // most] for n in range(most)]
