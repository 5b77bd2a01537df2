"""The difference between two policies in Markdown: what opens and what closes, for whom, then the details."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from app.cli.policy.access_text import MAX_HEADLINES
from app.cli.policy.comparison import Comparison
from app.cli.policy.diff_text import detail_lines, totals, unknown_lines
from app.cli.policy.markdown import Section
from app.cli.terminal import Line

if TYPE_CHECKING:
    from app.policy.analysis.access_change import Kind


def verdict(comparison: Comparison) -> str:
    """Whether access widens, in a sentence."""
    difference = comparison.difference
    if difference.is_empty:
        return "**No verdict changes.** Both policies decide alike."
    widens = "Access widens" if difference.widens else "Access does not widen"
    return f"**{widens}**: {totals(difference)}."


def summary_sections(comparison: Comparison) -> Iterator[Section]:
    """What opens and what closes, for whom."""
    from app.policy.analysis.diff_summary import summarize

    headlines = summarize(comparison.difference)
    kinds: tuple[tuple[Kind, str], ...] = (("gain", "What opens"), ("loss", "What closes"))
    for kind, title in kinds:
        every = [headline.text for headline in headlines if headline.kind == kind]
        lines: list[Line] = [*every[:MAX_HEADLINES]]
        if len(every) > MAX_HEADLINES:
            lines.append(f"… and {len(every) - MAX_HEADLINES:,} more.")
        if kind == "gain":
            lines += unknown_lines(comparison.difference)
        if lines:
            yield Section(title, lines)


def detail_sections(comparison: Comparison) -> Iterator[Section]:
    """The files that changed, and each endpoint that is gained or lost, with the rows behind it."""
    if comparison.files:
        yield Section("Changed files", [f"{file.name}  {file}" for file in comparison.files], folded=True)
    kinds: tuple[tuple[Kind, str], ...] = (("gain", "Each gain, with its rows"), ("loss", "Each loss, with its rows"))
    for kind, title in kinds:
        changes = [change for change in comparison.difference.changes if change.kind == kind]
        if lines := list(detail_lines(changes, comparison.places, comparison.snapshots)):
            yield Section(title, lines, folded=True)
