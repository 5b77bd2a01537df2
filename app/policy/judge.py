"""Casbin, the judge: decides over expanded rows, so that it compares with `==` and never matches a path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import casbin
from casbin.model import FastModel
from casbin.persist import Adapter
from casbin.util.expression import SimpleEval

from app.policy import model
from app.policy.condition import Condition, ConditionError, Context
from app.policy.expand import Index, rows
from app.policy.rule import Rule

_OBJ, _ACT = 1, 2


class Judge:
    """One policy's Casbin enforcer. It is not shared between threads: Casbin filters through its own state."""

    def __init__(self, index: Index) -> None:
        self._needs: dict[str, frozenset[str]] = {}
        self._conditions: dict[str, tuple[Condition, bool]] = {}
        for found in index.values():
            for rule in found:
                if rule.condition:
                    self._conditions[rule.place] = (rule.condition, rule.effect == "deny")
        self._enforcer = _enforcer(rows(index), self._holds, self._met)

    def allows(self, held: frozenset[str], resource: str, action: str, context: Context) -> bool:
        """Casbin's verdict."""
        return bool(self._enforcer.enforce(held, resource, action, context))

    def _holds(self, held: frozenset[str], needs: str) -> bool:
        wanted = self._needs.get(needs)
        if wanted is None:
            wanted = self._needs[needs] = frozenset(needs.split(" "))
        return wanted <= held

    def _met(self, when: str, context: Context) -> bool:
        if not when:
            return True
        condition, is_deny = self._conditions[when]
        try:
            return condition.met(context)
        except ConditionError:
            return is_deny  # an error never opens: the allow does not apply, the deny does


class _Rows(Adapter):  # type: ignore[misc]  # Casbin is untyped
    """Hands checked rows to Casbin in bulk; its own loaders are silent or quadratic."""

    def __init__(self, checked: Iterable[tuple[str, str, str, str, str]]) -> None:
        self._rows = checked

    def load_policy(self, model: FastModel) -> None:
        policy = model.model["p"]["p"].policy
        for row in self._rows:
            policy.append(row)


class _Enforcer(casbin.FastEnforcer):  # type: ignore[misc]  # Casbin is untyped
    """A FastEnforcer that parses its matcher once; Casbin would parse it again for every request."""

    _expression: SimpleEval | None = None

    def _get_expression(self, expression: str, functions: Mapping[str, object] | None = None) -> SimpleEval:
        if self._expression is None:
            self._expression = super()._get_expression(expression, functions)
        return self._expression


def _enforcer(checked: Iterable[tuple[str, str, str, str, str]], holds: object, met: object) -> _Enforcer:
    fast = FastModel([_OBJ, _ACT])
    fast.load_model_from_text(model.TEXT)
    enforcer = _Enforcer(fast, _Rows(checked), cache_key_order=[_OBJ, _ACT])
    enforcer.add_function("holds", holds)
    enforcer.add_function("met", met)
    return enforcer


def matching(rules: Iterable[Rule], held: frozenset[str]) -> tuple[Rule, ...]:
    """The rules whose grants are all held, whatever their conditions."""
    return tuple(rule for rule in rules if rule.needs <= held)
