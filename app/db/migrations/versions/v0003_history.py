"""Policy revisions, and what administrators did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "policy_revisions",
        sa.Column("id", _ID, nullable=False),
        sa.Column("parent_id", _ID),
        sa.Column("revision", sa.String(64), nullable=False, index=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("widens", sa.Boolean(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.Column("files", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_policy_revisions"),
        sa.UniqueConstraint("parent_id", name="uq_policy_revisions_parent_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "admin_actions",
        sa.Column("id", _ID, nullable=False),
        sa.Column("at", _TIME, nullable=False, index=True),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("key_id", _ID),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_admin_actions"),
        sqlite_autoincrement=True,
    )
