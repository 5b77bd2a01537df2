"""What is wrong with a chain or with the rows that it seals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.audit.chain.entry import LogName
from app.audit.record import time_of

FaultKind = Literal[
    "altered", "removed", "added", "without_key", "rows", "digests", "entry", "missing_entry", "signature", "head"
]
# The tables of the logs. Decisions of the previous release are in another one until they are moved.
TABLE_NAMES: dict[LogName, str] = {"decisions": "decision_rows", "admin": "admin_actions"}


@dataclass(frozen=True, slots=True)
class ChainFault:
    """A difference between a log and its chain.

    A row was `altered`, `removed` or `added`, or is `without_key`: the decision key that it refers to is missing. Of a
    segment, the `rows` differ although none can be named, or the `digests` that name them are damaged. An `entry` of
    the chain was altered, a `missing_entry` removed; a `signature` is missing or wrong; the chain does not have a given
    `head`. `entry` is the sequence number in the chain, `row_id` the id in the log, `time` that of the row.
    """

    log: LogName
    kind: FaultKind
    message: str
    entry: int | None = None
    row_id: int | None = None
    time: datetime | None = None


def moment_of(at: int) -> datetime | None:
    """A time in microseconds since 1970; None beyond the years 1 to 9999, or for a value that no program wrote."""
    try:
        return time_of(at)
    except (OverflowError, ValueError, TypeError, OSError):
        return None


def text_of(at: int) -> str:
    """A time in microseconds since 1970, for a message."""
    moment = moment_of(at)
    if moment is None:
        return f"{at!r} microseconds since 1970"
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
