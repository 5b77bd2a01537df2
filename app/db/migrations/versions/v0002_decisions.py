"""The decision log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_FILTERS = ("subject", "key_id", "resource", "action", "allowed", "revision", "request_id")


def upgrade() -> None:
    op.create_table(
        "grant_sets",
        sa.Column("id", _ID, nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("grants", sa.Text(), nullable=False),
        sa.Column("last_seen_on", sa.Date(), nullable=False, index=True),
        sa.PrimaryKeyConstraint("id", name="pk_grant_sets"),
        sa.UniqueConstraint("digest", name="uq_grant_sets_digest"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "decisions",
        sa.Column("id", _ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("latency", sa.BigInteger(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("door", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("method", sa.String(16)),
        sa.Column("key_id", _ID),
        sa.Column("token_id", sa.String()),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("resource", sa.String(), nullable=False),
        sa.Column("allowed", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("rule_place", sa.String()),
        sa.Column("rule_text", sa.Text()),
        sa.Column("missing", sa.Text(), nullable=False),
        sa.Column("revision", sa.String(64), nullable=False),
        sa.Column("grant_set_id", _ID),
        sa.PrimaryKeyConstraint("id", name="pk_decisions"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_decisions_at_id", "decisions", ["at", "id"])
    for column in _FILTERS:
        op.create_index(f"ix_decisions_{column}_at_id", "decisions", [column, "at", "id"])
