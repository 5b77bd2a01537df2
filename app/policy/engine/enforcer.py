"""Casbin's enforcer over expanded rows, which only compares with `==` and never matches a path."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from casbin.model import FastModel
from casbin.persist import Adapter

from app.policy.engine.casbin_private import CompiledMatcherEnforcer, compile_matcher
from app.policy.engine.expand import rows
from app.policy.engine.rule_index import Index
from app.policy.engine.verdict import Conditions
from app.policy.language import model
from app.policy.language.when.condition import ConditionError

_OBJ, _ACT = 1, 2


class Enforcer:
    """Returns Casbin's own verdicts. Not thread-safe: Casbin filters through mutable state."""

    def __init__(self, index: Index) -> None:
        distinct = {rule.needs for found in index.values() for rule in found}
        self._needs = {" ".join(sorted(needs)): needs for needs in distinct}
        self._conditional = {
            rule.place: rule for found in index.values() for rule in found if rule.condition is not None
        }
        self._casbin = CompiledMatcherEnforcer(_model(), _Rows(rows(index)), cache_key_order=[_OBJ, _ACT])
        self._casbin.matcher = _MATCHER
        self._casbin.add_function("holds", self._holds)
        self._casbin.add_function("met", self._met)
        # Casbin would log the grants of every denial if logging were reconfigured: give it a disabled logger.
        self._casbin.logger = logging.Logger("casbin", logging.CRITICAL + 1)

    def allows(self, held: frozenset[str], resource: str, action: str, conditions: Conditions) -> bool:
        """Casbin's verdict."""
        return bool(self._casbin.enforce(held, resource, action, conditions))

    def _holds(self, held: frozenset[str], needs: str) -> bool:
        return self._needs[needs] <= held

    def _met(self, when: str, conditions: Conditions) -> bool:
        if not when:
            return True
        rule = self._conditional[when]
        try:
            return conditions.met(rule)
        except ConditionError:
            return rule.effect == "deny"  # fail closed: an allow does not apply, a deny does


class _Rows(Adapter):  # type: ignore[misc]  # Casbin is untyped
    """Passes checked rows to Casbin in bulk; its own loaders ignore faults or are quadratic."""

    def __init__(self, checked: Iterable[tuple[str, str, str, str, str]]) -> None:
        self._rows = checked

    def load_policy(self, model: FastModel) -> None:
        append = model.model["p"]["p"].policy.append
        for row in self._rows:
            append(row)


def _model() -> FastModel:
    fast = FastModel([_OBJ, _ACT])
    fast.load_model_from_text(model.TEXT)
    return fast


# Compiled on import: on Python 3.11 parsing into a tree in two threads at once sporadically raises SystemError.
_MATCHER = compile_matcher(_model().model["m"]["m"].value, model.FILE)
