"""The hash chain over the decision log and the admin log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_KEPT = sa.text("digests IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "chain_entries",
        sa.Column("id", _ID, nullable=False),
        sa.Column("log", sa.String(16), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("after_id", sa.BigInteger(), nullable=False),
        sa.Column("up_to_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("previous", sa.LargeBinary(32), nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.Column("content", sa.Text()),
        sa.Column("key_id", sa.String(16)),
        sa.Column("signature", sa.LargeBinary(64)),
        sa.PrimaryKeyConstraint("id", name="pk_chain_entries"),
        sa.UniqueConstraint("log", "sequence", name="uq_chain_entries_log_sequence"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "chain_parts",
        sa.Column("id", _ID, nullable=False),
        sa.Column("log", sa.String(16), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("part_class", sa.String(16), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_id", sa.BigInteger(), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("rows_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("digests_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("digests", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("id", name="pk_chain_parts"),
        sa.UniqueConstraint("log", "sequence", "part_class", "day", name="uq_chain_parts_log_sequence_part_class_day"),
        sqlite_autoincrement=True,
    )
    for name, columns in (("first_at", ["first_at"]), ("class_first_id", ["part_class", "first_id"])):
        op.create_index(f"ix_chain_parts_{name}", "chain_parts", columns, postgresql_where=_KEPT, sqlite_where=_KEPT)
