"""Formats faults and findings: all of a few, else the first of each kind with their number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.policy.fault_text import fault_lines
from app.cli.terminal import Line

if TYPE_CHECKING:
    from app.policy.analysis.findings import Finding

MAX_LISTED = 50  # faults and findings that are printed without grouping
FIRST_OF_KIND = 5
_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold blue"}


def finding_lines(found: Sequence[Finding], directory: Path, more: str, *, every: bool = False) -> Iterator[Line]:
    """The lines of faults and findings: of many, unless `every`, the first of each kind; `more` shows all."""
    if every or len(found) <= MAX_LISTED:
        yield from _each(found, directory)
        return
    kinds: dict[tuple[str, str], list[Finding]] = {}
    for finding in found:
        kinds.setdefault((finding.severity, finding.at.code), []).append(finding)
    for (severity, code), some in kinds.items():
        yield from _each(islice(some, FIRST_OF_KIND), directory)
        if len(some) > FIRST_OF_KIND:
            name = (f"{severity}[{code}]", _STYLES[severity])
            yield ["… and ", f"{len(some) - FIRST_OF_KIND:,} more of ", name, "."]
            yield ""
    width = max(len(f"{len(some):,}") for some in kinds.values())
    for (severity, code), some in sorted(kinds.items(), key=lambda kind: (list(_STYLES).index(kind[0][0]), kind[0][1])):
        yield [f"{len(some):>{width},}  ", (f"{severity}[{code}]", _STYLES[severity])]
    yield f"{more} shows all {len(found):,}."
    yield ""


def _each(found: Iterator[Finding] | Sequence[Finding], directory: Path) -> Iterator[Line]:
    for finding in found:
        yield from fault_lines(finding.at, directory, finding.severity)
        yield ""
