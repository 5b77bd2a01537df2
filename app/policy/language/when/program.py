"""CEL's library, imported with the first condition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import cel


def compile_program(text: str) -> cel.Program:
    """Compile an expression. Raises ValueError if the library refuses it."""
    from app.policy.language.cel_private import cel  # noqa: PLC0415  # see above

    return cel.compile(text)


def new_context(values: Mapping[str, object]) -> cel.Context:
    """Convert values, by name, for any number of evaluations."""
    from app.policy.language.cel_private import cel  # noqa: PLC0415  # see above

    return cel.Context(dict(values))
