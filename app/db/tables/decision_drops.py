"""Decisions that the log lost."""

from __future__ import annotations

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel

from app.db.tables.base import NEVER_REUSED, row_id


class DecisionDrop(SQLModel, table=True):
    """A time during which a process lost decisions of a class; in microseconds since 1970.

    `window_id` is chosen by the process, which replaces the row while it goes on losing decisions.
    """

    __tablename__ = "decision_drops"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()
    window_id: str = Field(unique=True, max_length=32)
    decision_class: str = Field(max_length=16)
    first_at: int = Field(sa_type=BigInteger)
    last_at: int = Field(index=True, sa_type=BigInteger)
    count: int = Field(sa_type=BigInteger)
