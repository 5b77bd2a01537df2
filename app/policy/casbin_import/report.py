"""The page that an import writes: what the new policy has, how it was proved, and what was not carried over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from app.policy.casbin_import.casbin_policy import CasbinFiles
from app.policy.casbin_import.import_fault import ImportNote, NoteKind
from app.policy.casbin_import.import_run import FinishedImport

MAX_NOTES = 1_000  # of each kind
_TITLES: dict[NoteKind, str] = {
    "left-out": "Allowed by Casbin, denied here",
    "wider-deny": "Denied here, and not by Casbin",
    "no-effect": "Without effect, so left out",
    "remark": "To know",
}


def report_text(service: str, files: CasbinFiles, done: FinishedImport) -> str:
    """The page, in Markdown."""
    return "\n".join(_lines(service, files, done)) + "\n"


def _lines(service: str, files: CasbinFiles, done: FinishedImport) -> Iterator[str]:
    found, rows = done.verification, done.casbin.rows
    links = sum(map(len, rows.links.values()))
    names = ", ".join(f"`{name}`" for name in files.rows)
    yield f"# `{service}`, imported from Casbin"
    yield ""
    yield f"From `{files.model_file}` and {names}:"
    yield f"{len(rows.rules):,} rules and {links:,} role rows became {done.rules:,} rules and"
    yield f"{done.memberships:,} role rows."
    yield "These files were added to those of another policy:"
    yield ""
    yield from (f"- `{name}`" for name in done.added)
    yield ""
    named = "all" if found.named == found.all_named else f"{found.named:,} of the"
    yield f"pycasbin and this policy were asked about {named} {found.all_named:,} requests that the files name,"
    yield f"and {found.random:,} random ones."
    yield f"{found.equal:,} verdicts were equal. The others were denied here alone:"
    yield f"{found.narrower:,} because of the rows below, and {found.unnamed:,} about what has no name here, which are"
    yield "objects, actions and paths that neither the rows nor the document name, and users who are named like a role."
    yield "No request was allowed here alone."
    for kind, title in _TITLES.items():
        notes = [note for note in done.notes if note.kind == kind]
        if notes:
            yield ""
            yield f"## {title}"
            yield ""
            yield from _list(notes)
    if done.is_exact:
        yield ""
        yield "Every row was carried over."


def _list(notes: Sequence[ImportNote]) -> Iterable[str]:
    for note in notes[:MAX_NOTES]:
        hint = f" ({note.hint})" if note.hint else ""
        yield f"- `{note.place}` {_code(note.row)}: {note.message}{hint} [{note.code}]"
    if len(notes) > MAX_NOTES:
        yield f"- … and {len(notes) - MAX_NOTES:,} more, which `--json` has"


def _code(text: str) -> str:
    """Text as code, whatever backquotes it has."""
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}" if fence == "`" else f"{fence} {text} {fence}"
