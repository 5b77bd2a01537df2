"""Formats changes of access: a summary, and details of a few."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from app.cli.terminal import Line

if TYPE_CHECKING:
    from app.policy.analysis.access_change import AccessChange, AccessDiff

MAX_DETAILS = 20  # changes that are printed without --details
MAX_HEADLINES = 20
_STYLES = {"gain": "bold red", "loss": "bold cyan"}
_WORDS = {("gain", False): "GAIN", ("gain", True): "MAY GAIN", ("loss", False): "LOSS", ("loss", True): "MAY LOSE"}


def summary_lines(difference: AccessDiff, *, every: bool = False) -> Iterator[Line]:
    """A summary of who gains and who loses, and an empty line; nothing if no access changes."""
    from app.policy.analysis.diff_summary import summarize

    headlines = summarize(difference)
    shown = headlines if every else headlines[:MAX_HEADLINES]
    for headline in shown:
        yield [(headline.text, _STYLES[headline.kind])]
    if len(headlines) > len(shown):
        yield f"… and {len(headlines) - len(shown):,} more."
    if headlines:
        yield ""


def change_line(change: AccessChange) -> Line:
    """A change, in one line."""
    from app.policy.analysis.change_words import describe

    return [(_WORDS[change.kind, change.may], _STYLES[change.kind]), f"  {describe(change)}"]
