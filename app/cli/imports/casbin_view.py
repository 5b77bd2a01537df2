"""The JSON document of `authz import casbin`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from app.policy.casbin_import.import_fault import ImportNote, NoteKind
from app.policy.casbin_import.import_run import FinishedImport
from app.policy.language.row_view import RowView


class ImportNoteView(RowView, frozen=True):
    """A row of Casbin that was not carried over exactly. Files are relative to the directory that is imported."""

    kind: NoteKind
    code: str
    message: str
    hint: str


class ComparedVerdicts(Struct, frozen=True):
    """How the new policy was compared with pycasbin. Each verdict is equal, or denied by the new policy alone."""

    named: Annotated[int, Meta(description="Requests about what the files name that were compared.")]
    all_named: Annotated[int, Meta(description="All requests about what the files name.")]
    random: int
    equal: int
    narrower: Annotated[int, Meta(description="Requests that the new policy denies because of rows that notes name.")]
    unnamed: Annotated[int, Meta(description="Requests that it denies since they are about what it has no name for.")]


class CasbinImport(Struct, frozen=True):
    """A finished import."""

    ok: Annotated[bool, Meta(description="Whether everything was carried over.")]
    directory: Annotated[str, Meta(description="The new policy directory.")]
    revision: str
    added: Annotated[list[str], Meta(description="The files that were added to those of the other policy.")]
    rules: int
    memberships: int
    compared: ComparedVerdicts
    notes: list[ImportNoteView]


def import_view(done: FinishedImport, directory: str) -> CasbinImport:
    """The view of a finished import."""
    found = done.verification
    compared = ComparedVerdicts(found.named, found.all_named, found.random, found.equal, found.narrower, found.unnamed)
    notes = [_note_view(note) for note in done.notes]
    return CasbinImport(
        done.is_exact, directory, done.revision, list(done.added), done.rules, done.memberships, compared, notes
    )


def _note_view(note: ImportNote) -> ImportNoteView:
    return ImportNoteView(note.file, note.line, None, note.row, note.kind, note.code, note.message, note.hint)
