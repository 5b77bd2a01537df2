"""The JSON document of `authz policy check`."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from app.cli.policy.faults_view import Directory
from app.policy.analysis.findings import FindingView
from app.policy.language.fault_view import FaultView


class CheckedPolicy(Struct, frozen=True):
    """The result of a check. The keys from `revision` to `endpoints` are left out of a policy with faults."""

    ok: Annotated[bool, Meta(description="Whether there is no fault and, with --strict, no warning.")]
    directory: Directory
    faults: list[FaultView]
    findings: list[FindingView]
    revision: str | UnsetType = UNSET
    files: list[str] | UnsetType = UNSET
    rules: int | UnsetType = UNSET
    memberships: int | UnsetType = UNSET
    cases: int | UnsetType = UNSET
    endpoints: int | UnsetType = UNSET
