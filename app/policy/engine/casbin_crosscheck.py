"""Cross-checks the engine's verdicts against Casbin's before a policy becomes active.

Both get the same information on which rules apply and must derive the same verdict. The verdict depends only on the
effects of the rules, so each distinct sequence of effects is checked once, with every combination of rules held and
conditions met, not met or failing. In addition a sample of the policy's own rows is checked. Requests are then decided
without Casbin, which takes about twenty times as long.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeVar

from app.policy.engine.enforcer import Enforcer
from app.policy.engine.rule_index import Index, Key
from app.policy.engine.verdict import Conditions, held_rules, verdict
from app.policy.language.rule import Rule
from app.policy.language.when.condition import NO_CONTEXT

MAX_COMBINATIONS = 256  # for one sequence of effects; of more, a sample is checked
MAX_SHAPES = 200
MAX_SAMPLE = 200  # of the policy's own resources and actions
MAX_RULES = 30  # for one resource and action
MAX_VERIFIED = 10_000  # sequences of rules that are known to be decided alike

_Item = TypeVar("_Item")
_FAILED = "the cross-check makes this condition fail"
_OUTCOMES: tuple[bool | str, ...] = (True, False, _FAILED)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The engine and Casbin disagree about a caller who holds these grants: a defect of one of them."""

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


def mismatches(index: Index, verified: VerifiedRules | None = None) -> Iterator[Mismatch]:
    """Find every question on which the two verdicts differ. Thread-safe: it shares no state with requests.

    What is `verified` is not compared again. When all verdicts agree, the rest is added to it.
    """
    trial: dict[Key, tuple[Rule, ...]] = {}
    verified = VerifiedRules() if verified is None else verified
    contents: set[object] = set()
    questions = [
        *_effect_questions(index, trial, verified, contents),
        *_row_questions(index, trial, verified, contents),
    ]
    if questions:
        agreed = True
        for mismatch in _compared(trial, questions):
            agreed = False
            yield mismatch
        if agreed:
            verified.add(contents)


class VerifiedRules:
    """Sequences of rules on which both verdicts agree. They depend on nothing else, so one comparison is enough."""

    def __init__(self) -> None:
        self._known: set[object] = set()

    def __contains__(self, rules: object) -> bool:
        return rules in self._known

    def add(self, rules: set[object]) -> None:
        """Add sequences; the earlier ones are forgotten when there are too many."""
        if len(self._known) > MAX_VERIFIED:
            self._known.clear()
        self._known |= rules


def _compared(trial: Mapping[Key, tuple[Rule, ...]], questions: Iterable[_Question]) -> Iterator[Mismatch]:
    casbin = Enforcer(trial)
    for question in questions:
        rules = trial[question.key]
        found = held_rules(rules, question.held)
        engine = bool(verdict(rules, found, question.held, question.conditions, ""))
        if casbin.allows(question.held, *question.key, question.conditions) is not engine:
            yield Mismatch(*question.key, question.held, engine)


def _effect_questions(
    index: Index, trial: dict[Key, tuple[Rule, ...]], verified: VerifiedRules, contents: set[object]
) -> Iterator[_Question]:
    """Questions about each sequence of effects, under resource names that no policy can contain."""
    each = (_some(rules, MAX_RULES) for rules in index.values())
    shapes = {tuple([(rule.terms.effect, rule.terms.condition is not None) for rule in rules]): rules for rules in each}
    for number, (effects, rules) in enumerate(_some(list(shapes.items()), MAX_SHAPES)):
        if effects in verified:
            continue
        contents.add(effects)
        key = (f"|{number}|", "crosscheck")
        separate = tuple(
            replace(rule, terms=replace(rule.terms, needs=frozenset((f"|{place}|",))))
            for place, rule in enumerate(rules)
        )
        trial[key] = separate
        choices = [(None, *_OUTCOMES) if rule.condition else (None, True) for rule in separate]
        for outcomes in _combinations(choices):
            conditions = Conditions(NO_CONTEXT)
            held: set[str] = set()
            for rule, outcome in zip(separate, outcomes, strict=True):
                if outcome is not None:
                    held |= rule.needs
                    conditions.settle(rule, outcome)
            yield _Question(key, frozenset(held), conditions)


def _row_questions(
    index: Index, trial: dict[Key, tuple[Rule, ...]], verified: VerifiedRules, contents: set[object]
) -> Iterator[_Question]:
    """Questions about the policy's own rows, for callers who hold nothing, the needs of one row, or all of them."""
    for key in _spread(index, MAX_SAMPLE):
        rules = tuple(_some(index[key], MAX_RULES))
        content = tuple((rule.needs, rule.effect, rule.condition) for rule in rules)
        if content in verified:
            continue
        contents.add(content)
        trial[key] = rules
        every = frozenset(grant for rule in rules for grant in rule.needs)
        for outcome in _OUTCOMES if any(rule.condition for rule in rules) else (True,):
            for held in dict.fromkeys((frozenset[str](), *(rule.needs for rule in rules), every)):
                conditions = Conditions(NO_CONTEXT)
                for rule in rules:
                    conditions.settle(rule, outcome)
                yield _Question(key, held, conditions)


def _combinations(
    choices: list[tuple[bool | str | None, ...]],
) -> Iterator[tuple[bool | str | None, ...]]:
    count = 1
    for options in choices:
        count *= len(options)
    if count <= MAX_COMBINATIONS:
        yield from product(*choices)
        return
    chosen = random.Random(count)  # noqa: S311  # a reproducible sample; no secret
    for _ in range(MAX_COMBINATIONS):
        yield tuple(chosen.choice(options) for options in choices)


def _spread(index: Index, most: int) -> Iterator[Key]:
    """The keys that `_some` would choose, without a list of all."""
    chosen = set(_some(range(len(index)), most))
    return (key for number, key in enumerate(index) if number in chosen)


def _some(items: Sequence[_Item], most: int) -> Sequence[_Item]:
    """All items or, if there are more than `most`, an evenly spread sample."""
    return items if len(items) <= most else [items[n * len(items) // most] for n in range(most)]
