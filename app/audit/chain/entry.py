"""The entries of a chain: segments, which seal rows of a log, and retirements, which say what retention may delete.

A segment covers all rows with ids in a range. The ranges of successive segments adjoin, so that a row that is added to
any of them is noticed. Its rows are divided into parts by class and day, since retention deletes by these.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, get_args

from app.audit.decision_class import DecisionClass

LogName = Literal["decisions", "admin"]
LOGS: tuple[LogName, ...] = ("decisions", "admin")
PartClass = DecisionClass | Literal["admin"]
EntryKind = Literal["segment", "retirement"]
FIRST_PREVIOUS = bytes(32)  # what the first entry has in place of the hash of the one before
_HEAD = re.compile(r"(decisions|admin):([1-9][0-9]{0,18}):([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class SealedPart:
    """Rows of a class and day in a segment. Times are in microseconds since 1970, `day` in days.

    `rows_hash` is the SHA-256 of the digests of all rows in the order of their ids, `digests_hash` that of the ids and
    the beginnings of these digests, by which a row is named that differs.
    """

    part_class: PartClass
    day: int
    count: int
    first_id: int
    last_id: int
    first_at: int
    last_at: int
    rows_hash: bytes
    digests_hash: bytes

    @property
    def line(self) -> str:
        """The part in the content of its segment."""
        return (
            f"{self.part_class} {self.day} {self.count} {self.first_id} {self.last_id} {self.first_at} {self.last_at} "
            f"{self.rows_hash.hex()} {self.digests_hash.hex()}\n"
        )


@dataclass(frozen=True, slots=True)
class Retirement:
    """What retention may delete of the segments before this entry.

    These are the parts that began before a time, in microseconds since 1970, or those of a class that began at or
    before an id.

    The entries before `first_sequence` are deleted too, since none of their rows is left.
    """

    reason: Literal["age", "size"]
    part_class: PartClass | None
    before_at: int | None
    up_to_id: int | None
    first_sequence: int

    @property
    def line(self) -> str:
        """The content of the entry."""
        fields = (self.reason, self.part_class, self.before_at, self.up_to_id, self.first_sequence)
        return f"{' '.join('-' if field is None else str(field) for field in fields)}\n"

    @classmethod
    def read(cls, line: str) -> Retirement | None:
        """The retirement with this content; None if the text is none."""
        match = _RETIREMENT.fullmatch(line)
        if match is None:
            return None
        age, before_at, size_class, up_to_id, first_sequence = match.groups()
        if age:
            return cls("age", None, int(before_at), None, int(first_sequence))
        part_class = next(name for name in get_args(DecisionClass) if name == size_class)
        return cls("size", part_class, None, int(up_to_id), int(first_sequence))

    def covers(self, part: SealedPart) -> bool:
        """Whether it retires a part of an earlier segment."""
        if self.before_at is not None:
            return part.first_at < self.before_at
        return part.part_class == self.part_class and self.up_to_id is not None and part.first_id <= self.up_to_id


_RETIREMENT = re.compile(
    r"(?:(age) - (-?\d{1,19}) -|size (known|authzen|anonymous) - (\d{1,19})) (\d{1,19})\n", re.ASCII
)


@dataclass(frozen=True, slots=True)
class ChainEntry:
    """An entry of the chain of a log, which covers the ids after `after_id` and up to `up_to_id`.

    `version` is that of the canonical form of rows. `at` is when the entry was made, in microseconds since 1970.
    `content` are the lines of the parts of a segment, or that of a retirement.
    """

    log: LogName
    sequence: int
    kind: EntryKind
    version: int
    after_id: int
    up_to_id: int
    at: int
    previous: bytes
    content: str

    @property
    def hash(self) -> bytes:
        """The SHA-256 of the entry, which includes that of the entry before."""
        head = f"{self.log} {self.sequence} {self.kind} {self.version} {self.after_id} {self.up_to_id} {self.at}"
        return sha256(f"authz chain entry\n{head} {self.previous.hex()}\n{self.content}".encode()).digest()


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The newest entry of a chain at some time, to compare the chain with later."""

    log: LogName
    sequence: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.log}:{self.sequence}:{self.hash.hex()}"

    @classmethod
    def read(cls, text: str) -> ChainHead:
        """The head with this text. Raises ValueError."""
        match = _HEAD.fullmatch(text)
        if match is None:
            raise ValueError("is not a head as `authz decisions head` prints it: decisions:812:9f86d0…")
        log, sequence, digest = match.groups()
        return cls("admin" if log == "admin" else "decisions", int(sequence), bytes.fromhex(digest))


def content_of(parts: Sequence[SealedPart]) -> str:
    """The content of a segment with these parts."""
    return "".join(part.line for part in sorted(parts, key=lambda part: (part.part_class, part.day)))
