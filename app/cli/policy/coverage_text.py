"""Formats the coverage of the cases of a policy."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.terminal import Styled

if TYPE_CHECKING:
    from app.policy.analysis.coverage import Coverage, CoveredShare
    from app.policy.language.source import PolicySource

Line = str | list[str | Styled]


def coverage_lines(found: Coverage, source: PolicySource, directory: Path) -> Iterator[Line]:
    """The shares, then each row and each endpoint that no case exercises."""
    yield f"Cases exercise {_share(found.rows, 'rows')} and {_share(found.endpoints, 'endpoints')}."
    if found.idle_rows:
        yield ""
        yield "Rows that no case exercises:"
    for row in found.idle_rows:
        yield [(f"  {directory / row.file}:{row.line}", "bold"), f": {source.line(row.file, row.line).strip()}"]
    if found.idle_endpoints:
        yield ""
        yield "Endpoints that no case exercises:"
    for resource, actions in _by_resource(found):
        yield f"  {'|'.join(actions)} {resource}"


def coverage_view(found: Coverage, directory: Path) -> dict[str, object]:
    """The coverage for a JSON document."""
    rows = [{"path": str(directory / row.file), "line": row.line, "row": str(row)} for row in found.idle_rows]
    endpoints = [{"resource": resource, "action": action} for resource, action in found.idle_endpoints]
    return {
        "percent": found.percent,
        "rows": {**_share_view(found.rows), "missing": rows},
        "endpoints": {**_share_view(found.endpoints), "missing": endpoints},
    }


def _by_resource(found: Coverage) -> Iterator[tuple[str, list[str]]]:
    from app.policy.language.rule import action_order

    for resource, keys in groupby(found.idle_endpoints, key=lambda key: key[0]):
        yield resource, sorted((action for _, action in keys), key=action_order)


def _share(share: CoveredShare, noun: str) -> str:
    return f"{share.covered} of {share.total} {noun} ({share.percent:g} %)"


def _share_view(share: CoveredShare) -> dict[str, object]:
    return {"total": share.total, "covered": share.covered, "percent": share.percent}
