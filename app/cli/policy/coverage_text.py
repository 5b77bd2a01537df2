"""Formats the coverage of the cases of a policy."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.policy.explain_text import row_place
from app.cli.terminal import Line

if TYPE_CHECKING:
    from app.policy.analysis.coverage import Coverage, CoveredShare
    from app.policy.language.source import PolicySource


def coverage_lines(found: Coverage, source: PolicySource, directory: Path) -> Iterator[Line]:
    """The shares, then each row and each endpoint that no case exercises."""
    yield f"Cases exercise {_share(found.rows, 'rows')} and {_share(found.endpoints, 'endpoints')}."
    if found.idle_rows:
        yield ""
        yield "Rows that no case exercises:"
    for row in found.idle_rows:
        yield [(f"  {row_place(row, directory)}", "bold"), f": {source.line(row.file, row.line).strip()}"]
    if found.idle_endpoints:
        yield ""
        yield "Endpoints that no case exercises:"
    for resource, actions in _by_resource(found):
        yield f"  {'|'.join(actions)} {resource}"


def _by_resource(found: Coverage) -> Iterator[tuple[str, list[str]]]:
    from app.policy.language.rule import action_order

    for resource, keys in groupby(found.idle_endpoints, key=lambda key: key[0]):
        yield resource, sorted((action for _, action in keys), key=action_order)


def _share(share: CoveredShare, noun: str) -> str:
    return f"{share.covered} of {share.total} {noun} ({share.percent:g} %)"
