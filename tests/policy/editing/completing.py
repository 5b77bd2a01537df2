"""Completes texts of a small policy at a mark."""

from __future__ import annotations

from app.policy.editing.completion import Completion, completions
from tests.policy.editing.marked import MARK, ROUTES, marked


def complete(text: str, file: str = "new.csv", **base: str) -> tuple[Completion, ...]:
    sources, name, line, column = marked(file, text, **base)
    return completions(sources, ROUTES, name, line, column)


def texts(text: str, file: str = "new.csv", **base: str) -> list[str]:
    return [each.text for each in complete(text, file, **base)]


def applied(text: str, chosen: str, file: str = "new.csv") -> str:
    """The line after a completion is chosen."""
    (found,) = [each for each in complete(text, file) if each.text == chosen]
    before = text.partition(MARK)[0]
    line = text.replace(MARK, "").split("\n")[before.count("\n")]
    assert 1 <= found.replaces.column <= found.replaces.end <= len(line) + 1
    return line[: found.replaces.column - 1] + chosen + line[found.replaces.end - 1 :]
