"""Mechanical fixes of a policy's rows: spacing, order and duplicates, never their meaning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from app.policy.analysis.case_runner import run
from app.policy.analysis.findings import duplicate_rows
from app.policy.analysis.semantic_diff import compare
from app.policy.engine.live import build
from app.policy.engine.snapshot import Snapshot
from app.policy.language.load import parse
from app.policy.language.rule import Membership, Rule, action_order
from app.policy.language.source import END, PolicySource, from_bytes

Row = Rule | Membership


class NotTidied(Exception):
    """The tidied policy would differ in more than layout; nothing was changed."""


def tidy_rows(snapshot: Snapshot) -> dict[str, str]:
    """Tidy a policy and return the files that change, with their new text.

    Each row is written with single spaces and sorted grants and methods; adjacent rows, with no blank line or comment
    between them, are sorted; duplicates are dropped. The result is compared with the original: all verdicts must be
    the same, and every case must have the same outcome. Raises NotTidied if they differ, PolicyRefused if the result
    is not a valid policy.
    """
    policy = snapshot.policy
    rows: dict[tuple[str, int], Row] = {(row.file, row.line): row for row in policy.rules}
    rows.update({(row.file, row.line): row for row in policy.memberships})
    dropped = {(row.file, row.line) for row in duplicate_rows(policy)}
    changed: dict[str, str] = {}
    for file, text in policy.source.files.items():
        if file.endswith(".csv"):
            new = "\n".join(_lines(file, text, rows, dropped)) + "\n"
            if new != text:
                changed[file] = new
    if changed:
        _prove(snapshot, {**policy.source.files, **changed})
    return changed


def add_end_lines(source: PolicySource) -> dict[str, str]:
    """Add the missing end line to CSV files. Only their author knows whether rows are missing too."""
    changed: dict[str, str] = {}
    for fault in source.faults:
        if fault.code == "cut-short":
            rows = source.files[fault.file].rstrip()
            body = rows[: -len(END)] if f"\n{rows}".lower().endswith(f"\n{END}") else f"{rows}\n" if rows else ""
            changed[fault.file] = f"{body}{END}\n"
    return changed


def _prove(snapshot: Snapshot, files: Mapping[str, str]) -> None:
    after = build(parse(from_bytes({name: text.encode() for name, text in files.items()})), snapshot.table)
    difference = compare(snapshot, after)
    if not difference.is_empty:
        raise NotTidied("the rows have too many combinations to prove that tidying would change no verdict")
    for before, now in zip(_outcomes(snapshot), _outcomes(after), strict=True):
        if before[1] and not now[1]:
            raise NotTidied(f"{before[0]} expects a row at a line that would move; name only the file")


def _outcomes(snapshot: Snapshot) -> list[tuple[str, bool]]:
    return [(outcome.case.place, outcome.passed) for outcome in run(snapshot, snapshot.policy.cases)]


def _lines(file: str, text: str, rows: Mapping[tuple[str, int], Row], dropped: set[tuple[str, int]]) -> Iterator[str]:
    """The lines of a file, tidied."""
    block: list[Row] = []
    last = ""
    for number, line in enumerate(text.split("\n")[:-1], 1):
        row = rows.get((file, number))
        if row:
            if (file, number) not in dropped:
                block.append(row)
            continue
        for tidied in (*_written(block), line.rstrip()):
            if tidied or last:  # collapse consecutive blank lines
                yield tidied
                last = tidied
        block = []


def _written(block: list[Row]) -> Iterator[str]:
    for row in sorted(block, key=_order):
        yield _text(row)


def _order(row: Row) -> tuple[str, ...]:
    """Sort by needs, then by resource, as in the matrix; `p` rows before `g` rows."""
    if isinstance(row, Membership):
        return ("2", row.member, row.grant)
    return ("1", " ".join(sorted(row.needs)), row.resource, _text(row))


def _text(row: Row) -> str:
    if isinstance(row, Membership):
        return str(row)
    terms = replace(row.terms, actions=tuple(sorted(row.actions, key=action_order)))
    return str(replace(row, terms=terms))
