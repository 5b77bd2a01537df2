"""Formats a fault like a compiler: place, message, line, caret and hint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.cells import cell_len

from app.cli.terminal import Styled, printable
from app.policy.language.fault import Fault
from app.policy.language.row_view import place_of

WIDTH = 120
_TAB = "    "
_CUT = "…"
_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold blue"}


def fault_lines(fault: Fault, directory: Path, severity: str = "error") -> Iterator[list[str | Styled]]:
    """The lines of a fault or finding, with a place that editors recognise."""
    style = _STYLES[severity]
    yield [(place(fault, directory), "bold"), ": ", (f"{severity}[{fault.code}]", style), f": {fault.message}"]
    gutter = " " * len(str(fault.line))
    if fault.text:
        line, underline = excerpt(fault.text, fault.column, fault.length)
        yield [(f" {fault.line} | ", "dim"), line]
        yield [(f" {gutter} | ", "dim"), (underline, style)]
    if fault.hint:
        yield [(f" {gutter} = ", "dim"), ("hint", "bold cyan"), f": {fault.hint}"]


def place(fault: Fault, directory: Path) -> str:
    """`policies/catalog.csv:7:30`, as seen from where the command runs."""
    return place_of(str(directory / fault.file), fault.line, fault.column)


def excerpt(text: str, column: int, length: int) -> tuple[str, str]:
    """A line, cut to WIDTH cells, and the carets below it; tabs and wide characters count as displayed."""
    shown = [_TAB if character == "\t" else printable(character) for character in text]
    start = min(max(column, 1) - 1, len(shown))
    before, marked = "".join(shown[:start]), "".join(shown[start : start + length])
    after = "".join(shown[start + length :])
    if cell_len(before) + cell_len(marked) > WIDTH:
        before = _CUT + _last(before, WIDTH // 3) if cell_len(before) > WIDTH // 3 else before
        marked = _first(marked, WIDTH - cell_len(before))
    after = _first(after, WIDTH - cell_len(before) - cell_len(marked))
    return before + marked + after, " " * cell_len(before) + "^" * max(cell_len(marked), 1)


def _first(text: str, cells: int) -> str:
    if cell_len(text) <= cells:
        return text
    while text and cell_len(text) >= cells:
        text = text[: min(len(text) - 1, cells)]
    return text + _CUT


def _last(text: str, cells: int) -> str:
    text = text[-cells:]
    while cell_len(text) > cells:
        text = text[1:]
    return text
