"""How far each log was delivered to each destination of the SIEM export."""

from __future__ import annotations

from sqlalchemy import BigInteger, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from app.db.tables.base import NEVER_REUSED, row_id

_ZERO = {"server_default": text("0")}


class SiemCursor(SQLModel, table=True):
    """The position of a destination in a log. All times are in microseconds since 1970, by the database's clock.

    Everything up to the id `position` was delivered, refused or missed. `refused` counts records that the destination
    did not accept, `missed` those that were deleted before they were delivered. The latter are reported to the
    destination: `gap_count` records, from `gap_first_at` until `gap_last_at`, with ids up to `gap_last_id`, are not
    reported yet.

    One process at a time delivers, which has the lease: `holder` is its random name, until `leased_until`. After
    `failures` failures in succession none tries before `retry_at`.
    """

    __tablename__ = "siem_cursors"
    __table_args__ = (UniqueConstraint("destination", "log"), NEVER_REUSED)
    id: int = row_id()
    destination: str = Field(max_length=32)
    log: str = Field(max_length=16)
    position: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_ZERO)
    delivered: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_ZERO)
    delivered_at: int | None = Field(default=None, sa_type=BigInteger)
    refused: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_ZERO)
    refused_at: int | None = Field(default=None, sa_type=BigInteger)
    missed: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_ZERO)
    gap_count: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_ZERO)
    gap_last_id: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_ZERO)
    gap_first_at: int | None = Field(default=None, sa_type=BigInteger)
    gap_last_at: int | None = Field(default=None, sa_type=BigInteger)
    holder: str | None = Field(default=None, max_length=32)
    leased_until: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_ZERO)
    failures: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_ZERO)
    failed_since: int | None = Field(default=None, sa_type=BigInteger)
    retry_at: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_ZERO)
    error: str = Field(default="", sa_type=Text, sa_column_kwargs={"server_default": text("''")})
