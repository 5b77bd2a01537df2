"""The exact messages of faults and findings, as recorded in `refusals.json`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from app.policy.language.fault import Fault
from app.policy.language.when.condition import ConditionFault
from tests.policy.records import Records

Said = Callable[[Iterable[Fault | ConditionFault]], None]


@pytest.fixture(scope="session")
def refusals() -> Iterator[Records]:
    """The recorded faults."""
    records = Records(Path(__file__).with_name("refusals.json"))
    yield records
    records.write()


@pytest.fixture
def said(request: pytest.FixtureRequest, refusals: Records) -> Said:
    """Compares the faults of a test with the recorded ones: code, length, message and hint of each.

    Lines and columns are left out: the tests check them, and those of the shipped policy change.
    """

    def compare(faults: Iterable[Fault | ConditionFault]) -> None:
        refusals.compare(
            request, [f"{_where(fault)} {fault.length}: {fault.message} ({fault.hint})" for fault in faults]
        )

    return compare


def _where(fault: Fault | ConditionFault) -> str:
    """The code of a fault, with its place if it has no line."""
    if isinstance(fault, ConditionFault):
        return "condition"
    return fault.code if fault.line > 0 else f"{fault.code} {fault.line}:{fault.column}"
