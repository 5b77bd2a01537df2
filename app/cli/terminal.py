"""Prints output: colours only on a terminal, no wrapping, control characters escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

Styled = tuple[str, str]
_WIDEST = 100_000
Line = str | Styled | list[str | Styled]


def console(*, stderr: bool = False) -> Console:
    """A console for literal text. It respects NO_COLOR and FORCE_COLOR."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)


def show(lines: Iterable[Line], *, stderr: bool = False) -> None:
    """Print lines, each a text, a (text, style), or a list of those."""
    out = console(stderr=stderr)
    for line in lines:
        parts = line if isinstance(line, list) else [line]
        text = Text()
        for part in parts:
            words, style = part if isinstance(part, tuple) else (part, "")
            text.append(printable(words), style)
        out.print(text)


def plain(line: Line) -> str:
    """A line without its styles."""
    parts = line if isinstance(line, list) else [line]
    return "".join(part[0] if isinstance(part, tuple) else part for part in parts)


def show_table(table: Table) -> None:
    """Print a table without breaking words. For a pipe each row is a line; a narrow terminal wraps long ones."""
    out = Console()
    widths = Measurement.get(out, out.options.update(max_width=_WIDEST), table)
    # Rich drops the last columns of a table that does not fit.
    out.width = max(out.width, widths.minimum) if out.is_terminal else widths.maximum
    out.print(table)


def show_json(document: object) -> None:
    """Print a document for programs, in ASCII."""
    print(json.dumps(document, indent=2))


def show_view(view: object) -> None:
    """Print a view for programs, as the API has it, but with times to the second."""
    from msgspec import to_builtins

    print(json.dumps(to_builtins(view, builtin_types=(datetime,)), indent=2, default=rfc3339))


def rfc3339(moment: datetime | None) -> str:
    """A time in UTC, to the second; `never` for None."""
    return "never" if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def printable(text: str) -> str:
    """Escape the characters that a terminal would interpret or hide."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


# Characters that Python calls printable, although a terminal shows them as a blank.
_BLANK = "\u115f\u1160\u2800\u3164\uffa0"
_PLAIN = re.compile(rf"[^\s()\[\]\"'`\\\u00ab\u00bb\u2018-\u201f{_BLANK}]+")


def quoted(text: str) -> str:
    """A value that a caller chose, as one word of a line: in quotes if a part of it could resemble the rest."""
    if text.isprintable() and _PLAIN.fullmatch(text) and text != "-":
        return text
    return printable(json.dumps(text, ensure_ascii=False))


def plural(count: int, noun: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
