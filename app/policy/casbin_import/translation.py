"""What the rows of a Casbin program become: rules, notes, and denies that rows cannot state."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.policy.casbin_import.carried_rule import CarriedRule
from app.policy.casbin_import.casbin_rows import CasbinRow
from app.policy.casbin_import.import_fault import ImportNote, NoteKind
from app.policy.language.fault import Fault
from app.policy.language.source import shown


@dataclass(frozen=True, slots=True)
class UnstatedDeny:
    """A deny that rows cannot state: an error, unless nothing is allowed that it would deny.

    It is about a path that has no name here, or else about callers who have none.
    """

    row: CasbinRow
    message: str
    hint: str
    is_unnamed_path: bool

    @property
    def fault(self) -> Fault:
        """The fault that refuses the import."""
        text = shown(str(self.row))
        return Fault("unstated-deny", self.row.file, self.row.line, 1, self.message, self.hint, len(text), text)


@dataclass(slots=True)
class Translation:
    """Rules in the order of Casbin, notes, and denies that nothing here can state.

    `inexact` are the rows whose allows are not all carried over, by file and line.
    """

    rules: list[CarriedRule] = field(default_factory=list)
    notes: dict[ImportNote, None] = field(default_factory=dict)
    unstated: list[UnstatedDeny] = field(default_factory=list)
    inexact: set[tuple[str, int]] = field(default_factory=set)

    def note(self, kind: NoteKind, code: str, row: CasbinRow, message: str, hint: str = "") -> None:
        """Add a note about a row, once."""
        found = ImportNote(kind, code, row.file, row.line, shown(str(row)), message, hint)
        self.notes[found] = None
        if kind == "left-out":
            self.inexact.add((row.file, row.line))

    @property
    def size(self) -> tuple[int, int, int]:
        """How much there is."""
        return len(self.rules), len(self.notes), len(self.unstated)
