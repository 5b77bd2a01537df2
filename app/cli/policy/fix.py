"""`authz policy check --fix`: tidies the rows of a policy without changing a verdict."""

from __future__ import annotations

import difflib
import os
import tempfile
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.failure import fail
from app.cli.terminal import Line, show
from app.policy.language.directory import raw_files, read
from app.policy.language.fault import PolicyRefused

if TYPE_CHECKING:
    from app.policy.engine.snapshot import Snapshot

_MARK = "\ufeff"
_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def fix_files(snapshot: Snapshot, directory: Path, *, dry_run: bool) -> bool:
    """Tidy the files of a valid policy and print the changes; return whether anything was written.

    With `dry_run` only print the changes, and exit with 1 if there are any.
    """
    from app.policy.analysis.tidy import NotTidied, tidy_rows

    try:
        changed = tidy_rows(snapshot)
    except (NotTidied, PolicyRefused) as error:
        fail(f"nothing was changed: {error}.")
    before = snapshot.policy.source.files
    show(_unified(before, changed, directory))
    if not changed:
        show(["There is nothing to tidy.", ""])
        return False
    if dry_run:
        show([[("Nothing was written", "bold"), ": leave out --dry-run to write it."]])
        raise SystemExit(1)
    for file, text in changed.items():
        _replace(Path(os.path.realpath(directory / file)), before[file], text)
    show([[("Tidied ", "bold green"), ", ".join(str(directory / file) for file in changed), "."], ""])
    return True


def remove_byte_order_marks(directory: Path, *, dry_run: bool) -> None:
    """Remove the byte order marks of policy files, which spreadsheets and editors write, and list them.

    With `dry_run` only list the files, and exit with 1 if there are any.
    """
    try:
        files = raw_files(directory)
    except PolicyRefused:
        return  # the check that follows reports it
    marked = {
        name: text.removeprefix(_MARK)
        for name, data in files.items()
        if data.startswith(BOM_UTF8) and (text := _text(data)) is not None
    }
    if not marked:
        return
    names = ", ".join(str(directory / name) for name in marked)
    if dry_run:
        show([[("Nothing was written", "bold"), f": --fix would remove the byte order mark of {names} first."]])
        raise SystemExit(1)
    for name, text in marked.items():
        _replace(Path(os.path.realpath(directory / name)), _MARK + text, text)
    show([[("Removed ", "bold green"), f"the byte order mark of {names}."], ""])


def _text(data: bytes) -> str | None:
    """The text with plain line feeds; None if the check refuses it for another reason than a byte order mark."""
    try:
        text = data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return None
    return None if "\r" in text else text


def end_files(directory: Path, *, dry_run: bool) -> None:
    """Add the last line to the files of rows that lack it, and list them.

    With `dry_run` only print the changes, and exit with 1 if there are any.
    """
    from app.policy.analysis.tidy import add_end_lines

    try:
        source = read(directory)
    except PolicyRefused:
        return  # the check that follows reports it
    changed = add_end_lines(source)
    if not changed:
        return
    show(_unified(source.files, changed, directory))
    if dry_run:
        show([[("Nothing was written", "bold"), ": leave out --dry-run to write it and to tidy the rest."]])
        raise SystemExit(1)
    for file, text in changed.items():
        _replace(Path(os.path.realpath(directory / file)), source.files[file], text)
    names = ", ".join(str(directory / file) for file in changed)
    show([[("Ended ", "bold green"), names, ". Look whether rows are missing there: the file may have been cut."], ""])


def _unified(before: Mapping[str, str], changed: Mapping[str, str], directory: Path) -> Iterator[Line]:
    for file, text in changed.items():
        name = str(directory / file)
        lines = difflib.unified_diff(before[file].splitlines(), text.splitlines(), name, name, lineterm="")
        for line in lines:
            yield [(line, _STYLES.get(line[:1], ""))]
        yield ""


def _replace(path: Path, expected: str, text: str) -> None:
    """Replace the text of a file atomically, and keep its mode."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # hidden, so not a policy file
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(path.stat().st_mode & 0o7777)
        if path.read_text(encoding="utf-8") != expected:
            fail(f"{path} was changed meanwhile and left as it is; run it again.")
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
