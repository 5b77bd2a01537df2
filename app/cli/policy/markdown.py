"""Markdown for comments on a code host (GFM, GLFM), of lines that the author of a policy chose.

These are only in code blocks: there a host makes no mention, reference, link, image, HTML or quick action of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from app.cli.terminal import Line, plain, printable

MAX_LINE = 500  # characters
MAX_SPAN = 200
_TICKS = re.compile("`+")
# Some versions of GitLab run a line that begins with a slash as a command, even in a code block.
_COMMAND = re.compile(r"\s*/")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and lines of a policy, which are shown when the reader opens them if it is `folded`.

    `title` and `text` are our own words in Markdown.
    """

    title: str
    lines: Sequence[Line]
    text: str = ""
    folded: bool = False


def code(text: str) -> str:
    """A text as a code span."""
    shown = printable(text) if len(text) <= MAX_SPAN else f"{printable(text[: MAX_SPAN - 1])}…"
    ticks = _fence([shown], 1)
    pad = " " if not shown.strip() or shown[0] in "` " or shown[-1] in "` " else ""
    return f"{ticks}{pad}{shown}{pad}{ticks}"


def render(head: Iterable[str], sections: Iterable[Section], *, end: str = "", limit: int | None = None) -> str:
    """A document of our own paragraphs, sections, and a last paragraph.

    With a limit it has at most so many bytes in UTF-8, which are never fewer than its characters: lines of later
    sections are left out, and it says how many.
    """
    parts = [_Part(section) for section in sections if section.lines or section.text]
    opening, closing = "".join(f"{paragraph}\n\n" for paragraph in head), f"{end}\n" if end else ""
    left = None if limit is None else limit - _size(opening + closing) - sum(part.overhead for part in parts)
    body = []
    for part in parts:
        lines, left = part.fitting(left)
        body.append(part.text(lines))
    return f"{opening}{''.join(body)}{closing}".rstrip("\n") + "\n"


class _Part:
    """A section whose lines can be shown in part."""

    def __init__(self, section: Section) -> None:
        self._section = section
        self._lines = [_shown(line) for line in _without_blank_end(section.lines)]
        self._ticks = _fence(self._lines, 3)

    @property
    def overhead(self) -> int:
        """The bytes of everything but the lines, at most."""
        return _size(self.text([])) + len(str(len(self._lines))) + 2 * len(self._ticks) + 20

    def fitting(self, left: int | None) -> tuple[list[str], int | None]:
        """The first lines that have at most `left` bytes, and the bytes that are left then; None is no limit."""
        if left is None:
            return self._lines, None
        found: list[str] = []
        for line in self._lines:
            if (size := _size(line) + 1) > left:
                return found, 0
            found.append(line)
            left -= size
        return found, left

    def text(self, lines: Sequence[str]) -> str:
        """The section with these of its lines."""
        section, blocks = self._section, []
        if section.text:
            blocks.append(section.text)
        if lines:
            blocks.append("\n".join([f"{self._ticks}text", *lines, self._ticks]))
        if (omitted := len(self._lines) - len(lines)) > 0:
            which = "line is" if omitted == 1 else "lines are"
            blocks.append(f"{omitted:,} {'more ' if lines else ''}{which} left out, because a comment has a limit.")
        content = "".join(f"{block}\n\n" for block in blocks)
        if section.folded:
            return f"<details><summary>{section.title}</summary>\n\n{content}</details>\n\n"
        return f"### {section.title}\n\n{content}"


def _shown(line: Line) -> str:
    text = plain(line)
    text = printable(text if len(text) <= MAX_LINE else f"{text[: MAX_LINE - 1]}…")
    return f"· {text}" if _COMMAND.match(text) else text


def _without_blank_end(lines: Sequence[Line]) -> Iterator[Line]:
    last = max((at for at, line in enumerate(lines) if plain(line).strip()), default=-1)
    yield from lines[: last + 1]


def _fence(lines: Iterable[str], least: int) -> str:
    """Backticks that no line has as many of."""
    return "`" * max([least, *(len(run) + 1 for line in lines for run in _TICKS.findall(line))])


def _size(text: str) -> int:
    return len(text.encode())
