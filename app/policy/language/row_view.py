"""Where a row of a policy is: one shape in every JSON document, and `file:line` in every text."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

# The keys of the shape, each with its meaning in every document.
FileName = Annotated[str, Meta(description="The name of the file, relative to the policy directory.")]
Line = Annotated[int | None, Meta(description="The line, counted from 1; null where a whole file is meant.")]
Column = Annotated[
    int | None, Meta(description="The column in the line, counted from 1; null where only the line is known.")
]
RowText = Annotated[str, Meta(description="The text at this place: of a row its cells, separated by `, `.")]


class RowPlace(Struct, frozen=True):
    """Where a row of the policy is, for callers who may not read the policy."""

    file: FileName
    line: Line
    column: Column

    @property
    def place(self) -> str:
        """`file:line`, or `file` for a whole file."""
        return place_of(self.file, self.line)


class RowView(RowPlace, frozen=True):
    """A row of the policy: where it is, and its text."""

    row: RowText


def place_of(file: str, line: int | None, column: int | None = None) -> str:
    """`file:line:column`, as compilers write it; without what is 0 or None."""
    if not line:
        return file
    return f"{file}:{line}:{column}" if column else f"{file}:{line}"
