"""CEL's own library, which is imported with the first condition: it brings a command line that takes 0.25 s to load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import cel


def compile_program(text: str) -> cel.Program:
    """The program of an expression. Raises ValueError for one that the library does not take."""
    import cel  # noqa: PLC0415  # see above

    return cel.compile(text)


def new_context(values: Mapping[str, object]) -> cel.Context:
    """These values as the library has them, by name, for any number of evaluations."""
    import cel  # noqa: PLC0415  # see above

    return cel.Context(dict(values))
