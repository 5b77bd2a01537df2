"""The outcomes of the cases of a line, under the policy as it is written."""

from __future__ import annotations

from collections.abc import Mapping

from app.policy.analysis.case_runner import Outcome, run
from app.policy.engine.snapshot import Snapshot
from app.policy.language import cases
from app.policy.language.cases import Case
from app.policy.language.fault import Fault
from app.policy.language.source import PolicySource

MAX_CASES_OF_LINE = 50


def outcomes_at(snapshot: Snapshot, sources: Mapping[str, str], file: str, line: int) -> list[Outcome]:
    """The outcomes of the cases of a line under the policy of a snapshot; none if the file cannot be read.

    The cases are those of the text, which may be newer than the snapshot.
    """
    return list(run(snapshot, _cases_at(snapshot, sources, file, line)))


def _cases_at(snapshot: Snapshot, sources: Mapping[str, str], file: str, line: int) -> list[Case]:
    policy = snapshot.policy
    if sources.get(file) == policy.source.files.get(file):
        found = policy.cases
    else:
        faults: list[Fault] = []
        texts = {name: "" for name in sources if name.endswith(".csv")} | {file: sources.get(file, "")}
        found = cases.load(PolicySource(texts, ""), policy.catalog, faults)
    return [case for case in found if (case.file, case.line) == (file, line)][:MAX_CASES_OF_LINE]
