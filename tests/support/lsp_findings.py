"""Compares what `authz lsp` shows with what `authz policy check --json` prints."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from app.policy.language.file_names import escaped_name

# File, line and column from 1, severity, code, message and hint.
FoundPlace = tuple[str, int, int, str, str, str, str]
_SEVERITIES = {1: "error", 2: "warning", 3: "note"}
_FIRST = "model.conf"


def of_check(document: dict[str, Any], file: str, text: str | None) -> Counter[FoundPlace]:
    """The faults and findings in the output of the check. An editor shows what is behind the text of a file at its end.

    `text` is None for a file that is not open.
    """
    faults = [{**fault, "severity": "error"} for fault in document["faults"]]
    lines = text.split("\n") if text is not None else []
    found = Counter[FoundPlace]()
    for each in (*faults, *document["findings"]):
        name, line, column, severity, code, message, hint = _of_check(each)
        if lines and name == file and line > len(lines):
            line, column = len(lines), len(lines[-1]) + 1
        found[name, line, column, severity, code, message, hint] += 1
    return found


def of_server(directory: Path, published: dict[str, list[dict[str, Any]]]) -> Counter[FoundPlace]:
    """The same in diagnostics whose columns count characters (utf-32)."""
    found = Counter[FoundPlace]()
    for uri, items in published.items():
        file = unquote(uri.removeprefix(f"{directory.as_uri()}/"))
        file = file if file.isascii() and file.isprintable() else escaped_name(file)
        found.update(_of_server(file, each) for each in items)
    return found


def _of_check(each: dict[str, Any]) -> FoundPlace:
    file = _FIRST if each["file"] == "." else each["file"]
    place = (each["line"] or 1, each["column"] or 1)
    return (file, *place, each["severity"], each["code"], each["message"], each["hint"])


def _of_server(file: str, each: dict[str, Any]) -> FoundPlace:
    start = each["range"]["start"]
    message, _, hint = each["message"].partition("\nhint: ")
    severity = _SEVERITIES[each["severity"]]
    return (file, start["line"] + 1, start["character"] + 1, severity, each["code"], message, hint)


def differences(check: Counter[FoundPlace], server: Counter[FoundPlace]) -> list[str]:
    """What only one of the two found."""
    return [f"only check: {each}" for each in check - server] + [f"only lsp: {each}" for each in server - check]
