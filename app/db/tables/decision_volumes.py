"""How much space the decision log takes, and what was deleted because it took too much."""

from __future__ import annotations

from sqlalchemy import BigInteger, UniqueConstraint
from sqlmodel import Field, SQLModel

from app.db.tables.base import NEVER_REUSED, row_id

OF_KEYS = -1_000_000  # takes the place of a day


class DecisionVolume(SQLModel, table=True):
    """The rows of a class on a day, counted since 1970, and about how many bytes they take; or those of its keys.

    `freed_bytes` are those of rows that were deleted, whose space on PostgreSQL is in the partition of the day.
    """

    __tablename__ = "decision_volumes"
    __table_args__ = (UniqueConstraint("day", "decision_class"), NEVER_REUSED)
    id: int = row_id()
    day: int
    decision_class: str = Field(max_length=16)
    row_count: int = Field(sa_type=BigInteger)
    byte_count: int = Field(sa_type=BigInteger)
    freed_bytes: int = Field(sa_type=BigInteger)


class DecisionDeletion(SQLModel, table=True):
    """Decisions of a class that were deleted because the log was too large, in some minutes.

    They are all of the class up to the id `last_id` that were left. Times are in microseconds since 1970: those of the
    first and the last decision, and those of the first and the last deletion by the clock of the database.
    """

    __tablename__ = "decision_deletions"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()
    decision_class: str = Field(max_length=16)
    last_id: int = Field(sa_type=BigInteger)
    first_at: int = Field(sa_type=BigInteger)
    last_at: int = Field(sa_type=BigInteger)
    count: int = Field(sa_type=BigInteger)
    began_at: int = Field(sa_type=BigInteger)
    deleted_at: int = Field(index=True, sa_type=BigInteger)
