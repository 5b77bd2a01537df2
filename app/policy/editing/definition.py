"""Where the word at a position is defined, and the rows that decide the cases at it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from app.policy.editing.case_outcomes import outcomes_at
from app.policy.editing.grant_links import GrantLinks
from app.policy.editing.names import read_catalog
from app.policy.editing.position import Span, cursor_at, line_of
from app.policy.editing.suggestions import matched
from app.policy.editing.text_rows import text_rows
from app.policy.editing.words import PolicyWord, word_of
from app.policy.engine.snapshot import Snapshot
from app.policy.language import permissions, upstreams
from app.policy.language.placement import DocumentLines
from app.policy.language.rule import Rule
from app.policy.language.toml_lines import TomlLines
from app.policy.routing.routes import RouteTable, split_route

MAX_PLACES = 100
# A path of an OpenAPI document, as a key of YAML or JSON.
_DOCUMENT_PATH = re.compile(r"""^\s*["']?(/[^\s"']*?)["']?\s*:""")


def definitions(
    sources: Mapping[str, str], file: str, line: int, column: int, *, snapshot: Snapshot | None = None
) -> tuple[Span, ...]:
    """Where a role, a permission or a route is defined; for a case, the rows that decide it, or nearly would.

    `snapshot` is the last policy that could be read; without it there are no routes and no decisions.
    """
    cursor = cursor_at(sources, file, line, column)
    if cursor is None:
        return ()
    if file.startswith(upstreams.FOLDER):
        return _unique(_rows_of_document(sources, file, cursor.text, snapshot))
    word = word_of(cursor)
    if word is None:
        return ()
    if word.kind == "grant":
        return _unique(_of_grant(sources, word.text))
    if word.kind == "row-place":
        return _unique(_of_row_place(sources, word.text))
    if file.startswith("tests/"):
        return _unique(_deciding_rows(sources, snapshot, file, line))
    return _unique(_of_resource(sources, snapshot, word)) if word.kind == "resource" else ()


def _unique(spans: Iterable[Span]) -> tuple[Span, ...]:
    return tuple(dict.fromkeys(spans))[:MAX_PLACES]


def _of_grant(sources: Mapping[str, str], grant: str) -> Iterator[Span]:
    """A permission is defined in the catalogue, a role by the rows that add to it, else by those that give it."""
    if grant in read_catalog(sources):
        lines = TomlLines(sources[permissions.FILE])
        line, column = lines.find(grant, grant)
        yield Span(permissions.FILE, line, column, column + len(grant))
        return
    links = GrantLinks(sources)
    defining = links.rows_adding_to(grant)
    yield from (row.span(1) for row in defining)
    if not defining:
        yield from (row.span(2) for row in links.rows_giving(grant))


def _of_row_place(sources: Mapping[str, str], place: str) -> Iterator[Span]:
    name, _, number = place.partition(":")
    if name in sources:
        line = int(number or 1)
        text = line_of(sources, name, line)
        if text is not None:
            yield Span(name, line, 1, len(text) + 1)


def _deciding_rows(sources: Mapping[str, str], snapshot: Snapshot | None, file: str, line: int) -> Iterator[Span]:
    for outcome in outcomes_at(snapshot, sources, file, line) if snapshot else ():
        if outcome.explanation is None:
            continue
        decision = outcome.explanation.decision
        rules = [decision.rule] if decision.rule else [near.rule for near in outcome.explanation.near]
        yield from (_of_rule(sources, rule) for rule in rules)


def _of_rule(sources: Mapping[str, str], rule: Rule) -> Span:
    text = line_of(sources, rule.file, rule.line) or ""
    return Span(rule.file, rule.line, rule.column, max(len(text), rule.column) + 1)


def _of_resource(sources: Mapping[str, str], snapshot: Snapshot | None, word: PolicyWord) -> Iterator[Span]:
    """The paths of documents that a pattern matches; for a route of the application the other rows about it."""
    if snapshot is None:
        return
    templates = matched(snapshot.table, word.text)
    if split_route(word.text)[0]:
        documents = DocumentLines(snapshot.policy)
        for template in templates[:MAX_PLACES]:
            if at := documents.fault(template, "", "", ""):
                yield Span(at.file, at.line, at.column, at.column + at.length)
        return
    yield from _rows_about(sources, snapshot.table, templates, word.span)


def _rows_of_document(sources: Mapping[str, str], file: str, text: str, snapshot: Snapshot | None) -> Iterator[Span]:
    """The rows about the path of an OpenAPI document, which a server may extend by segments before it."""
    path = _DOCUMENT_PATH.match(text)
    if path is None or snapshot is None:
        return
    service = file.removeprefix(upstreams.FOLDER).partition(".openapi.")[0]
    ends = [template for template in snapshot.table.templates if template.startswith(f"{service}:")]
    templates = tuple(template for template in ends if template.endswith(path[1]))
    yield from _rows_about(sources, snapshot.table, templates, None)


def _rows_about(
    sources: Mapping[str, str], table: RouteTable, templates: Iterable[str], without: Span | None
) -> Iterator[Span]:
    targets = frozenset(templates)
    known: dict[str, bool] = {}
    for row in text_rows(sources):
        resource = row.cell(2)
        if resource not in known:
            known[resource] = not targets.isdisjoint(matched(table, resource))
        if known[resource] and row.span(2) != without:
            yield row.span(2)
