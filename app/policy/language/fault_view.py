"""Faults in JSON documents, the same over HTTP and on the command line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from app.policy.language.fault import Fault
from app.policy.language.row_view import RowView
from app.policy.language.source import SHOWN


class FaultView(RowView, frozen=True):
    """A fault and how to fix it. `row` is the start of the line as written, where `length` characters are at fault."""

    length: int
    code: Annotated[str, Meta(description="The kind of fault; stable, for programs.")]
    message: str
    hint: Annotated[str, Meta(description="How to fix it; may be empty.")]


def fault_view(fault: Fault) -> FaultView:
    """View a fault."""
    line, column = (fault.line, fault.column) if fault.line else (None, None)
    return FaultView(fault.file, line, column, fault.text[:SHOWN], fault.length, fault.code, fault.message, fault.hint)


def fault_views(faults: Iterable[Fault]) -> list[FaultView]:
    """View several faults, in their order."""
    return [fault_view(fault) for fault in faults]
