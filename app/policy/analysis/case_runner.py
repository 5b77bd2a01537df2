"""Runs cases against a snapshot: which verdicts are as the policy's authors expect."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from app.identity.principal import ANYONE
from app.policy.analysis.explain import explain
from app.policy.analysis.explanation import Explanation
from app.policy.engine.decision import Decision
from app.policy.engine.question_context import context_of
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.target import NoSuchTarget, find_target
from app.policy.language.cases import Case
from app.policy.language.expected_reason import ExpectedReason
from app.policy.language.grants import known_roles, role_fault
from app.policy.language.when.condition import NO_CONTEXT


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a case. `explanation` is None if its route or role does not exist.

    `problem` and `hint` are empty if the case passed.
    """

    case: Case
    explanation: Explanation | None
    problem: str = ""
    hint: str = ""

    @property
    def passed(self) -> bool:
        """Whether the verdict and its reason are as expected."""
        return not self.problem


def run(snapshot: Snapshot, cases: Iterable[Case]) -> Iterator[Outcome]:
    """Run each case. A case about a route or role that does not exist fails, since it would prove nothing."""
    roles = known_roles(snapshot.policy.memberships)
    for case in cases:
        yield outcome_of(snapshot, case, roles)


def passes(snapshot: Snapshot, case: Case, roles: Collection[str]) -> bool:
    """Whether a case passes. Faster than `outcome_of`, which explains the verdict."""
    if role_fault(case.held, roles):
        return False
    try:
        target = find_target(snapshot.table, snapshot.index, case.action, case.resource)
    except NoSuchTarget:
        return False
    stated = frozenset({*case.held, ANYONE})
    context = NO_CONTEXT
    if any(rule.condition for rule in snapshot.rules_for(target.resource, case.action)):
        context = context_of(stated, snapshot.effective(stated), target, case.given)
    decision = snapshot.decide(stated, target.resource, case.action, context)
    return decision.allowed is case.allowed and (case.why is None or matches(case.why, decision))


def matches(expected: ExpectedReason, decision: Decision) -> bool:
    """Whether a decision was made for the expected reason."""
    rule = decision.rule
    if expected.row:
        return rule is not None and rule.content == expected.row
    if expected.file:
        return rule is not None and rule.file == expected.file and expected.line in (0, rule.line)
    if expected.lacks:
        return frozenset(decision.missing) == expected.lacks
    return decision.reason is expected.reason


def outcome_of(snapshot: Snapshot, case: Case, roles: Collection[str]) -> Outcome:
    """Run one case; `roles` are those that the policy defines."""
    if fault := role_fault(case.held, roles):
        return Outcome(case, None, *fault)
    try:
        found = explain(snapshot, case.held, case.action, case.resource, case.given)
    except NoSuchTarget as error:
        return Outcome(case, None, error.message, error.hint)
    decision = found.decision
    if decision.allowed is not case.allowed:
        verdicts = {True: "allow", False: "deny"}
        return Outcome(case, found, f"expected {verdicts[case.allowed]}, got {verdicts[decision.allowed]}")
    if case.why and not matches(case.why, decision):
        return Outcome(case, found, f"expected `{case.why.text}`, got `{_reason(found, case.why)}`")
    return Outcome(case, found)


def _reason(found: Explanation, expected: ExpectedReason) -> str:
    """The reason of a decision, in the form of the expected one."""
    decision = found.decision
    if expected.row and decision.rule:
        return str(decision.rule)
    if expected.file and decision.rule:
        return decision.rule.place
    if expected.lacks and decision.missing:
        return "lacks " + " ".join(decision.missing)
    return str(decision.reason)
