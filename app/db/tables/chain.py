"""The hash chain over the decision log and the admin log."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, LargeBinary, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from app.db.tables.base import NEVER_REUSED, row_id

# Parts whose rows are still in the log.
_KEPT = text("digests IS NOT NULL")


class ChainEntryRow(SQLModel, table=True):
    """An entry of the chain of a log: see `app.audit.chain.entry`. `content` is that of a retirement."""

    __tablename__ = "chain_entries"
    __table_args__ = (UniqueConstraint("log", "sequence"), NEVER_REUSED)
    id: int = row_id()
    log: str = Field(max_length=16)
    sequence: int = Field(sa_type=BigInteger)
    kind: str = Field(max_length=16)
    version: int
    after_id: int = Field(sa_type=BigInteger)
    up_to_id: int = Field(sa_type=BigInteger)
    at: int = Field(sa_type=BigInteger)  # microseconds since 1970
    previous: bytes = Field(sa_type=LargeBinary(32))
    hash: bytes = Field(sa_type=LargeBinary(32))
    content: str | None = Field(default=None, sa_type=Text)
    key_id: str | None = Field(default=None, max_length=16)
    signature: bytes | None = Field(default=None, sa_type=LargeBinary(64))


class ChainPartRow(SQLModel, table=True):
    """A part of a segment. `digests` is NULL once the part is retired."""

    __tablename__ = "chain_parts"
    __table_args__ = (
        UniqueConstraint("log", "sequence", "part_class", "day"),
        Index("ix_chain_parts_first_at", "first_at", postgresql_where=_KEPT, sqlite_where=_KEPT),
        Index("ix_chain_parts_class_first_id", "part_class", "first_id", postgresql_where=_KEPT, sqlite_where=_KEPT),
        NEVER_REUSED,
    )
    id: int = row_id()
    log: str = Field(max_length=16)
    sequence: int = Field(sa_type=BigInteger)
    part_class: str = Field(max_length=16)
    day: int  # since 1970
    count: int
    first_id: int = Field(sa_type=BigInteger)
    last_id: int = Field(sa_type=BigInteger)
    first_at: int = Field(sa_type=BigInteger)
    last_at: int = Field(sa_type=BigInteger)
    rows_hash: bytes = Field(sa_type=LargeBinary(32))
    digests_hash: bytes = Field(sa_type=LargeBinary(32))
    digests: bytes | None = Field(default=None, sa_type=LargeBinary)
