"""How far each log was delivered to a SIEM."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default=sa.text("0"))


def upgrade() -> None:
    op.create_table(
        "siem_cursors",
        sa.Column("id", _ID, nullable=False),
        sa.Column("destination", sa.String(32), nullable=False),
        sa.Column("log", sa.String(16), nullable=False),
        _number("position"),
        _number("delivered"),
        sa.Column("delivered_at", sa.BigInteger()),
        _number("refused"),
        sa.Column("refused_at", sa.BigInteger()),
        _number("missed"),
        _number("gap_count"),
        _number("gap_last_id"),
        sa.Column("gap_first_at", sa.BigInteger()),
        sa.Column("gap_last_at", sa.BigInteger()),
        sa.Column("holder", sa.String(32)),
        _number("leased_until"),
        _number("failures"),
        sa.Column("failed_since", sa.BigInteger()),
        _number("retry_at"),
        sa.Column("error", sa.Text(), nullable=False, server_default=sa.text("''")),
        sa.PrimaryKeyConstraint("id", name="pk_siem_cursors"),
        sa.UniqueConstraint("destination", "log", name="uq_siem_cursors_destination_log"),
        sqlite_autoincrement=True,
    )
