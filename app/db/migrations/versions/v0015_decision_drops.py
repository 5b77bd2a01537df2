"""The times during which the decision log lost decisions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "decision_drops",
        sa.Column("id", _ID, nullable=False),
        sa.Column("window_id", sa.String(32), nullable=False),
        sa.Column("decision_class", sa.String(16), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_decision_drops"),
        sa.UniqueConstraint("window_id", name="uq_decision_drops_window_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_decision_drops_last_at", "decision_drops", ["last_at"])
