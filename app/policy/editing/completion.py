"""Completions in the files of a policy: the one list that every editor shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.policy.editing.case_completion import case_suggestions
from app.policy.editing.entity_completion import entity_suggestions
from app.policy.editing.names import read_names
from app.policy.editing.place import CompletionPlace
from app.policy.editing.position import Span, cursor_at
from app.policy.editing.row_completion import row_suggestions
from app.policy.editing.suggestions import CompletionKind, Suggestion
from app.policy.editing.toml_completion import TABLE_KEYS, table_suggestions
from app.policy.language import entities
from app.policy.routing.routes import RouteTable

MAX_COMPLETIONS = 500
_NAMES = ("role", "fact", "thing")


@dataclass(frozen=True, slots=True)
class Completion:
    """A text that fits at a position, and the characters that it replaces.

    `detail` are a few words about it, such as the title of a permission; `meaning` says what it means. Either may be
    empty.
    """

    text: str
    kind: CompletionKind
    detail: str
    meaning: str
    replaces: Span


def completions(
    sources: Mapping[str, str], routes: RouteTable, file: str, line: int, column: int
) -> tuple[Completion, ...]:
    """What fits at a position, the best first, at most MAX_COMPLETIONS.

    `sources` are the texts of the policy's files by name, which may have faults; `routes` are those of the application,
    without those of other services, whose documents are among the texts. Each text that fits has the characters that
    were typed before the position, in their order.
    """
    cursor = cursor_at(sources, file, line, column)
    if cursor is None:
        return ()
    place: CompletionPlace | None = None
    if file.endswith(".csv"):
        place = row_suggestions(read_names(sources, routes), cursor)
    elif file.startswith("tests/"):
        place = case_suggestions(read_names(sources, routes), sources[file], cursor)
    elif file.startswith(entities.FOLDER):
        place = entity_suggestions(read_names(sources, routes), sources[file], cursor)
    elif file in TABLE_KEYS:
        place = table_suggestions(file, sources[file], cursor)
    if place is None:
        return ()
    start, end = min(place.start, cursor.offset), max(place.end, cursor.offset)
    span = cursor.span(start, end)
    typed = cursor.text[start : cursor.offset]
    # A name that is being typed is among the names of the texts.
    others = (each for each in place.suggestions if each.kind not in _NAMES or each.text != cursor.text[start:end])
    chosen = _fitting(others, typed)[:MAX_COMPLETIONS]
    return tuple(Completion(each.text, each.kind, each.detail, each.meaning, span) for each in chosen)


def _fitting(suggestions: Iterable[Suggestion], typed: str) -> list[Suggestion]:
    """The suggestions that have the typed characters: those that begin with them first."""
    typed = typed.strip().lower()
    fitting = [each for each in suggestions if _has_in_order(each.text.lower(), typed)]
    return sorted(fitting, key=lambda each: (not each.text.lower().startswith(typed), typed not in each.text.lower()))


def _has_in_order(text: str, typed: str) -> bool:
    left = iter(text)
    return all(character in left for character in typed)
