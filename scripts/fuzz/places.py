"""What every fault of a policy must have: a code, a file, a message that can be shown, and a line with its column."""

from __future__ import annotations

from collections.abc import Iterable

from app.policy.language.fault import Fault
from scripts.fuzz.target import Violation

_MAX_TEXT = 4_000


def check_faults(faults: Iterable[Fault], *, required: bool = True) -> None:
    """Raise Violation for a fault that its author cannot act on, and for a refusal without any."""
    found = list(faults)
    if required and not found:
        raise Violation("refused without a fault")
    for fault in found:
        if fault.code == "disputed":
            raise Violation(f"the engine and Casbin disagree: {fault}")
        if not fault.code or not fault.file or not fault.message:
            raise Violation(f"a fault without code, file or message: {fault!r}")
        if (fault.line > 0) != (fault.column > 0) or fault.line < 0 or fault.length < 1:
            raise Violation(f"a fault without a place: {fault!r}")
        if "\n" in fault.text or not str(fault).replace("\t", " ").isprintable():
            raise Violation(f"a fault that cannot be shown on a line: {fault!r}")
        if len(str(fault)) > _MAX_TEXT * 2:
            raise Violation(f"a fault with {len(str(fault))} characters: {fault.code}")
