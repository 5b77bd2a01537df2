"""Runs an import: carries a policy over, builds and proves the result, and adds the cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from app.policy.casbin_import.casbin_policy import CasbinFiles, CasbinPolicy, read_casbin
from app.policy.casbin_import.import_fault import NARROWER, ImportNote, ImportRefused
from app.policy.casbin_import.import_options import ImportOptions
from app.policy.casbin_import.importer import import_policy
from app.policy.casbin_import.policy_texts import cases_text
from app.policy.casbin_import.verification import Verification, verify
from app.policy.engine.live import build
from app.policy.engine.snapshot import Snapshot
from app.policy.language.fault import Fault
from app.policy.language.load import Policy, parse
from app.policy.language.source import encode, from_bytes
from app.policy.routing.routes import RouteTable

MAX_SHOWN = 5  # disagreements
_DOCUMENT = "the document may have one route for paths that rows tell apart: add these paths to it"
_HANDLERS = "a row of the policy that they are added to may decide about this route: see `authz policy explain`"
_REPORT = "report this as a bug, with the model and the rows; nothing was written"


@dataclass(frozen=True, slots=True)
class FinishedImport:
    """A proved import: every file of the new policy by name, the counts, and notes."""

    files: Mapping[str, bytes]
    added: tuple[str, ...]
    revision: str
    casbin: CasbinPolicy
    rules: int
    memberships: int
    notes: tuple[ImportNote, ...]
    verification: Verification

    @property
    def is_exact(self) -> bool:
        """Whether everything was carried over."""
        return not any(note.kind in NARROWER for note in self.notes)


def run_import(
    files: CasbinFiles,
    options: ImportOptions,
    base: Policy,
    table: RouteTable,
    progress: Callable[[str], None] = lambda _: None,
) -> FinishedImport:
    """Import a policy into another. Raises ImportRefused, and PolicyRefused if the result is not a policy."""
    casbin = read_casbin(files, progress)
    imported = import_policy(casbin, options, base, table, progress)
    progress("the new policy is built")
    snapshot = _built({**base.source.files, **imported.files}, table)
    findings = [
        fault for each in snapshot.policy.services if each.service == options.service for fault in each.findings
    ]
    if findings and options.is_generated:
        raise ImportRefused([replace(fault, hint=_REPORT) for fault in findings[:MAX_SHOWN]])
    found = verify(casbin, files, imported, snapshot, options, progress=progress)
    if found.disagreements:
        raise ImportRefused(
            _faults(found, files, _REPORT if options.is_generated else _HANDLERS if options.handlers else _DOCUMENT)
        )
    added = dict(imported.files)
    if found.cases:
        added[f"tests/{options.service}.yaml"] = cases_text(found.cases)
    texts = {**base.source.files, **added}
    finished = _built(texts, table)
    return FinishedImport(
        MappingProxyType(encode(texts)),
        tuple(added),
        finished.revision,
        casbin,
        sum(rule.file in added for rule in finished.policy.rules),
        sum(row.file in added for row in finished.policy.memberships),
        imported.notes,
        found,
    )


def _built(texts: Mapping[str, str], table: RouteTable) -> Snapshot:
    return build(parse(from_bytes(encode(texts))), table)


def _faults(found: Verification, files: CasbinFiles, hint: str) -> list[Fault]:
    shown = found.disagreements[:MAX_SHOWN]
    return [Fault.of_file("disputed", files.model_file, str(each), hint) for each in shown]
