"""The rows of a policy as written, however faulty they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from app.policy.editing.line_cells import LineCell, cells_of
from app.policy.editing.position import Span


@dataclass(frozen=True, slots=True)
class TextRow:
    """A `p` or `g` row that may lack cells."""

    file: str
    line: int
    cells: tuple[LineCell, ...]

    @property
    def place(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.line}"

    @property
    def is_membership(self) -> bool:
        """Whether it is a `g` row."""
        return self.cells[0].text == "g"

    def cell(self, index: int) -> str:
        """The text of a cell; empty if the row lacks it."""
        return self.cells[index].text if index < len(self.cells) else ""

    def span(self, index: int) -> Span:
        """Where a cell is."""
        cell = self.cells[index]
        return Span(self.file, self.line, cell.start + 1, cell.end + 1)


def text_rows(sources: Mapping[str, str]) -> Iterator[TextRow]:
    """The rows of all files, in their order."""
    for file in sorted(sources):
        if file.endswith(".csv"):
            yield from _rows_of(file, sources[file])


@lru_cache(maxsize=64)
def _rows_of(file: str, text: str) -> tuple[TextRow, ...]:
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        cells = cells_of(line.removesuffix("\r"))
        if cells and cells[0].text in ("p", "g"):
            found.append(TextRow(file, number, cells))
    return tuple(found)
