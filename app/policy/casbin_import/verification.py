"""Proves an imported policy against pycasbin before it is written.

For each question the new policy must deny what Casbin denies. What Casbin allows by rows that were carried over
exactly it must allow, unless a deny that was made wider decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from app.identity.principal import ANYONE
from app.policy.casbin_import.casbin_enforcer import ReferenceEnforcer
from app.policy.casbin_import.casbin_policy import CasbinFiles, CasbinPolicy
from app.policy.casbin_import.import_options import ImportOptions
from app.policy.casbin_import.importer import ImportedPolicy, rules_file
from app.policy.casbin_import.policy_texts import VerdictCase
from app.policy.casbin_import.questions import CasbinQuestion, QuestionMaker
from app.policy.engine.decision import Decision
from app.policy.engine.question_context import context_of
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.target import NoSuchTarget, find_target
from app.policy.language.when.condition import NO_CONTEXT
from app.policy.routing.routes import is_route

# pycasbin looks at each row for each request, which takes about 5 microseconds.
MAX_ROWS_LOOKED_AT = 1_000_000
MAX_CASES = 5_000
NOT_FOUND, NO_METHOD = 404, 405
LEAST = 50  # questions, however many rows there are
_PROGRESS = 500  # questions


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A question on which the policies differ without a reported reason: a defect of the import."""

    question: CasbinQuestion
    casbin: bool

    def __str__(self) -> str:
        verdicts = ("allows", "denies") if self.casbin else ("denies", "allows")
        request = ", ".join(self.question.request)
        return f"Casbin {verdicts[0]} ({request}), and the new policy {verdicts[1]} it"


@dataclass(slots=True)
class Verification:
    """The result: how many questions were asked, and how many verdicts are equal.

    Of the others, all denied by the new policy alone, `unnamed` are about what it has no name for, and `narrower`
    follow from rows that notes name.
    """

    named: int
    all_named: int
    random: int
    equal: int = 0
    unnamed: int = 0
    narrower: int = 0
    disagreements: list[Disagreement] = field(default_factory=list)
    cases: list[VerdictCase] = field(default_factory=list)

    @property
    def asked(self) -> int:
        """All questions."""
        return self.named + self.random


def verify(
    casbin: CasbinPolicy,
    files: CasbinFiles,
    imported: ImportedPolicy,
    snapshot: Snapshot,
    options: ImportOptions,
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> Verification:
    """Ask both policies. Cases are kept of the questions about what the files name."""
    maker = QuestionMaker(casbin, imported, snapshot, options)
    asker = _Asker(casbin, files, imported, snapshot, options)
    most = max(MAX_ROWS_LOOKED_AT // len(casbin.rows.rules), LEAST)
    named = maker.sample(most)
    found = Verification(len(named), maker.count, min(options.samples, most))
    asker.ask(named, found, keeps_cases=True, progress=progress)
    asker.ask(maker.some(found.random), found, keeps_cases=False, progress=progress)
    return found


class _Asker:
    def __init__(
        self,
        casbin: CasbinPolicy,
        files: CasbinFiles,
        imported: ImportedPolicy,
        snapshot: Snapshot,
        options: ImportOptions,
    ) -> None:
        self._casbin = ReferenceEnforcer(casbin, files, options.functions)
        self._exact = (
            ReferenceEnforcer(casbin, files, options.functions, imported.inexact) if imported.inexact else None
        )
        self._imported = imported
        self._options = options
        self._snapshot = snapshot
        self._file = rules_file(options.service)

    def ask(
        self,
        questions: Iterable[CasbinQuestion],
        found: Verification,
        *,
        keeps_cases: bool,
        progress: Callable[[str], None],
    ) -> None:
        for count, question in enumerate(questions, 1):
            if count % _PROGRESS == 0:
                progress(f"{count:,} {'named' if keeps_cases else 'random'} requests compared with pycasbin")
            decision = self._decision(question)
            allowed = isinstance(decision, Decision) and decision.allowed
            casbin = self._casbin.allows(question.request)
            if allowed and not casbin and self._options.ignores_last_slash and question.slashed:
                casbin = self._casbin.allows(question.slashed)
            if allowed is casbin:
                found.equal += 1
            elif casbin and self._is_unnamed(question, decision):
                found.unnamed += 1
            elif casbin and self._is_reported(question, decision):
                found.narrower += 1
            else:
                found.disagreements.append(Disagreement(question, casbin))
            is_case = keeps_cases and isinstance(decision, Decision) and len(found.cases) < MAX_CASES
            if is_case:
                found.cases.append(VerdictCase(question.caller.held, question.action, question.resource, allowed))

    def _decision(self, question: CasbinQuestion) -> Decision | NoSuchTarget:
        """The decision of the new policy, or why there is no such route, which it denies."""
        snapshot = self._snapshot
        try:
            target = find_target(snapshot.table, snapshot.index, question.action, question.resource)
        except NoSuchTarget as missing:
            return missing
        handlers = self._options.handlers
        if handlers is not None and is_route(target.resource) and not handlers.methods(target.resource):
            return NoSuchTarget(NOT_FOUND, "", "")  # rows of the base decide about other routes of the application
        held = frozenset({*question.caller.held, ANYONE})
        context = NO_CONTEXT
        if any(rule.condition for rule in snapshot.rules_for(target.resource, question.action)):
            context = context_of(held, snapshot.effective(held), target, {})
        return snapshot.decide(held, target.resource, question.action, context)

    def _is_unnamed(self, question: CasbinQuestion, decision: Decision | NoSuchTarget) -> bool:
        """Whether it is about an object, action or path without a name here, or a user who is named like a role."""
        statuses = (NOT_FOUND,) if self._options.is_generated else (NOT_FOUND, NO_METHOD)
        is_elsewhere = isinstance(decision, NoSuchTarget) and decision.status in statuses
        return is_elsewhere or not question.is_known or question.caller.is_role_name

    def _is_reported(self, question: CasbinQuestion, decision: Decision | NoSuchTarget) -> bool:
        """Whether a note says why the new policy denies what Casbin allows."""
        if self._exact is not None and not self._exact.allows(question.request):
            return True
        if isinstance(decision, NoSuchTarget) or decision.rule is None:
            return False
        if decision.rule.file != self._file:
            return False
        rule = self._imported.places.get(decision.rule.line)
        if (
            question.action == "HEAD"
            and self._options.document is not None
            and "HEAD" not in (rule.actions if rule else ())
        ):
            return True  # closed where the document has GET alone, as a note says
        return rule is not None and rule.effect == "deny" and rule.is_wider
