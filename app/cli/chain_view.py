"""What `authz decisions head` and `verify` print for programs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.audit.chain.entry import LogName
from app.audit.chain.faults import ChainFault


@dataclass(frozen=True, slots=True)
class ChainHeadView:
    """The newest entry of the chain of a log. `key_id` is null if it is not signed."""

    log: LogName
    head: str
    sealed_until: datetime | None
    key_id: str | None


@dataclass(frozen=True, slots=True)
class VerifiedLog:
    """A log that was compared with its chain.

    `entries` of the chain were read, from `first` to `head`. `checked` rows were compared. `retired` rows may be
    deleted, and `left_over` of them are not yet. `unsealed` rows are newer than the head. Of the entries, `signed` have
    a good signature; `unsigned` have none, and `key_id` is that of the head.
    """

    log: LogName
    entries: int
    first: int | None
    head: str | None
    sealed_until: datetime | None
    key_id: str | None
    checked: int
    retired: int
    left_over: int
    unsealed: int
    unsealed_since: datetime | None
    signed: int
    unsigned: int
    faults: int
    notes: list[str]


@dataclass(frozen=True, slots=True)
class ChainVerification:
    """The result of a verification. `faults` are the first ones; each log has the number of all of its own."""

    ok: bool
    signatures_checked: bool
    logs: list[VerifiedLog]
    faults: list[ChainFault]
