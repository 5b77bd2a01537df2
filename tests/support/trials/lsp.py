"""Compares the language server with the check on changed policies."""

from __future__ import annotations

import json
import random
from pathlib import Path

from app.policy.language.file_names import is_policy_file
from tests.cli.command import command
from tests.policy.shipped import shipped_files
from tests.support.lsp_findings import differences, of_check, of_server
from tests.support.lsp_process import LspProcess

_TYPED = ["x", ",", '"', "|", "{", "*", " ", "#", "é", "\U0001f600", "\t", "role:", "\n", "\r", "\u2028", "deny", "://"]


def compared(server: LspProcess, directory: Path, file: str, data: bytes | None) -> tuple[int, list[str]]:
    """How many faults and findings the check has of the changed policy, and what only one of the two shows.

    A text is only opened in the editor, unsaved; what no editor can open is written to the directory. Afterwards all is
    as before.
    """
    path = directory / file
    before = path.read_bytes() if path.exists() else None
    text = _text(data) if is_policy_file(file) else None
    # Opening another file makes the server examine the directory again.
    other = directory / "public.csv"
    if text is None:
        _write(path, data)
    uri = server.open(path, text) if text is not None else server.open(other, other.read_bytes().decode())
    shown = of_server(directory, server.all_diagnostics(uri))
    server.close(uri)
    _write(path, data)
    try:
        document = json.loads(command("policy", "check", "--json", str(directory)).stdout)
    finally:
        _write(path, before)
    checked = of_check(document, file, text)
    return checked.total(), differences(checked, shown)


def damaged(chosen: random.Random) -> tuple[str, bytes]:
    """A file of the shipped policy with random damage."""
    file = chosen.choice(sorted(shipped_files()))
    lines = shipped_files()[file].decode().split("\n")
    for _ in range(chosen.randint(1, 4)):
        at = chosen.randrange(len(lines))
        line = lines[at]
        column = chosen.randrange(len(line) + 1)
        kind = chosen.randrange(4)
        if kind == 0:
            lines[at] = line[:column]
        elif kind == 1:
            lines.insert(at, line)
        elif kind == 2:
            other = chosen.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        else:
            lines[at] = line[:column] + chosen.choice(_TYPED) + line[column:]
    return file, "\n".join(lines).encode()


def _text(data: bytes | None) -> str | None:
    """The text that an editor would open; None if it could not, or would show another one."""
    if data is None or data.startswith(b"\xef\xbb\xbf"):
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _write(path: Path, data: bytes | None) -> None:
    if data is None:
        path.unlink(missing_ok=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
