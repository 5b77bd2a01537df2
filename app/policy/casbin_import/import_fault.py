"""What an import reports: faults, which refuse it, and notes about what was not carried over exactly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from app.policy.language.fault import Fault
from app.policy.language.row_view import place_of

# `left-out`: Casbin allows it and the new policy denies it. `wider-deny`: a deny applies to more than it did.
# `no-effect`: the row decides nothing in Casbin either. `remark`: a difference to know of.
NoteKind = Literal["left-out", "wider-deny", "no-effect", "remark"]
NARROWER: tuple[NoteKind, ...] = ("left-out", "wider-deny")


class ImportRefused(Exception):
    """The files cannot be carried over without opening more than they did; `faults` says where and why."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: (fault.file, fault.line, fault.column)))
        super().__init__("\n".join(map(str, self.faults)))


@dataclass(frozen=True, slots=True)
class ImportNote:
    """A row that was not carried over exactly: where it is, why, and what to do. `code` is stable, for programs."""

    kind: NoteKind
    code: str
    file: str
    line: int
    row: str
    message: str
    hint: str = ""

    @property
    def place(self) -> str:
        """`file:line`."""
        return place_of(self.file, self.line)
