"""The matrix of roles and permissions by endpoint, a page at a time; each cell links to the simulator."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import urlencode

from litestar import Response

from app.console.page import long_page
from app.http.wire.filters import check_filters
from app.http.wire.handlers import get_or_head
from app.policy.analysis.matrix import Row, caller_grants, cells, columns, rows
from app.policy.engine.snapshot import Snapshot
from app.policy.language.caller import read_caller
from app.services import AnyRequest, services_of

PATH = "/console/policy/matrix"
ROWS = 25  # on a page
COLUMNS = 18
MAX_PAGE = 10**6


@dataclass(frozen=True, slots=True)
class Cell:
    """A verdict, and the query of the simulator that explains it."""

    verdict: str
    why: str


@dataclass(frozen=True, slots=True)
class MatrixLine:
    """A row of the table."""

    resource: str
    actions: str
    cells: list[Cell]


@dataclass(frozen=True, slots=True)
class MatrixFilter:
    """Selects endpoints by `text` and `file`, and a `column`; `options` includes endpoints with OPTIONS only."""

    text: str = ""
    file: str = ""
    column: str = ""
    options: str = ""
    page: int = 1
    side: int = 1

    def link(self, **other: object) -> str:
        """The address of the same selection with some fields changed."""
        given = {
            "q": self.text,
            "file": self.file,
            "column": self.column,
            "options": self.options,
            "page": self.page,
            "side": self.side,
        }
        return f"{PATH}?{urlencode({name: value for name, value in {**given, **other}.items() if value})}"


@get_or_head(PATH)
async def matrix(request: AnyRequest) -> Response[str]:
    """Show a page of the matrix."""
    check_filters(request, "q", "file", "column", "options", beside=("page", "side"))
    snapshot = services_of(request.app).live.active
    query = request.query_params
    selection = MatrixFilter(
        query.get("q", "").strip()[:200],
        query.get("file", "")[:200],
        query.get("column", "")[:200],
        "yes" if query.get("options") else "",
        _number(query.get("page")),
        _number(query.get("side")),
    )
    found = await asyncio.to_thread(_matching_rows, snapshot, selection)
    all_columns = columns(snapshot)
    shown = [column for column in all_columns if selection.column in ("", column)]
    at, left = (selection.page - 1) * ROWS, (selection.side - 1) * COLUMNS
    names = shown[left : left + COLUMNS]
    callers = ["+".join(caller_grants(name, snapshot)) for name in names]
    effective = [snapshot.effective(read_caller(caller_grants(name, snapshot))) for name in names]
    return await long_page(
        request,
        "matrix.html",
        selection=selection,
        names=names,
        all_columns=all_columns,
        files=sorted({rule.file for rule in snapshot.policy.rules}),
        lines=[_line(row, callers, effective) for row in found[at : at + ROWS]],
        total=len(found),
        first=at + 1,
        last=min(at + ROWS, len(found)),
        columns_total=len(shown),
        columns_first=left + 1,
        columns_last=min(left + COLUMNS, len(shown)),
    )


ROUTES = (matrix,)


def _number(text: str | None) -> int:
    """A page number; 1 if the text is not one."""
    return min(int(text), MAX_PAGE) if text and text.isascii() and text.isdigit() and 0 < len(text) < 8 else 1


def _matching_rows(snapshot: Snapshot, selection: MatrixFilter) -> list[Row]:
    return [row for row in rows(snapshot) if _matches(row, selection)]


def _matches(row: Row, selection: MatrixFilter) -> bool:
    if selection.file and selection.file not in row.files:
        return False
    if row.actions == ("OPTIONS",) and not selection.options:
        return False
    text = f"{' '.join(row.actions)} {row.resource}".lower()
    return all(word in text for word in selection.text.lower().split())


def _line(row: Row, callers: list[str], effective: list[frozenset[str]]) -> MatrixLine:
    verdicts = cells(row, effective)
    query_text = urlencode({"method": row.actions[0], "path": row.resource}, safe="/{}*:|")
    whys = [f"as={caller}&{query_text}" for caller in callers]
    return MatrixLine(
        row.resource, " ".join(row.actions), [Cell(str(v), why) for v, why in zip(verdicts, whys, strict=True)]
    )
