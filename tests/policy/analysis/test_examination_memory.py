"""An examination with the memory of earlier ones finds the same as one without."""

from __future__ import annotations

import pytest

from app.policy.analysis.examination import Examination, ExaminationMemory, examine
from app.policy.language.load import Policy
from app.policy.language.source import from_bytes
from tests.policy.small import TABLE, files

BASE = ("p, a:read, /x, GET|POST, allow", "p, b:read, /x/{id}, GET, allow", "p, c:read, /y, GET, allow")
# Each differs from the one before in a row, or in who holds what a row needs.
EDITS = (
    BASE,
    (*BASE, "p, a:read b:read, /x, GET, allow"),
    (*BASE, "p, a:read b:read, /x, GET, deny"),
    (*BASE, "p, role:r, /x, GET, deny", "g, a:read, role:r"),
    (*BASE, "p, role:r, /x, GET, deny", "g, b:read, role:r"),
    (*BASE, "p, role:r, /x, GET, deny", "g, role:s, role:r"),
    (*BASE, "p, role:r, /x, GET, allow", "g, a:read, role:r"),
    (*BASE, "p, role:r, /x, GET, alow", "g, a:read, role:r"),
    (*BASE, "p, anyone, /x, GET, deny, request.ip == '10.0.0.1'"),
    (*BASE, "p, anyone, /x, GET, deny, request.ip == '10.0.0.2'"),
    BASE,
)


def examined(
    rows: tuple[str, ...], memory: ExaminationMemory | None = None, before: Policy | None = None
) -> Examination:
    return examine(lambda: from_bytes(files(*rows)), TABLE, proxies_stated=True, memory=memory, before=before)


def test_a_file_that_was_cut_short_is_examined_and_a_policy_with_one_that_cannot_be_read_is_not() -> None:
    made = files("p, a:read, /x, GET, alow")
    made["rows.csv"] = made["rows.csv"].removesuffix(b"# end\n")
    found = examine(lambda: from_bytes(made), TABLE, proxies_stated=True)
    assert {fault.code for fault in found.faults} == {"cut-short", "effect"}
    made = {**files(*BASE), "more.csv": b"\xff\n# end\n"}
    found = examine(lambda: from_bytes(made), TABLE, proxies_stated=True)
    assert ([fault.code for fault in found.faults], found.findings, found.snapshot) == (["encoding"], (), None)


@pytest.mark.parametrize("order", [EDITS, EDITS[::-1]], ids=["forwards", "backwards"])
def test_a_series_of_edits_has_the_faults_and_findings_of_each_alone(order: tuple[tuple[str, ...], ...]) -> None:
    memory, before = ExaminationMemory(), None
    found = set()
    for rows in order:
        with_memory, alone = examined(rows, memory, before), examined(rows)
        assert (with_memory.faults, with_memory.findings) == (alone.faults, alone.findings)
        before = with_memory.snapshot.policy if with_memory.snapshot else before
        found |= {finding.at.code for finding in alone.every}
    assert {"effect", "shadowed-row", "unheld-row"} <= found
