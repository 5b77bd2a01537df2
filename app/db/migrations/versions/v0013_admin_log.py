"""Who did an administrative act, by which door and under which policy; and indexes, for it is read now."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INDEXED = ("action", "target", "author", "request_id")


def upgrade() -> None:
    for column in (
        sa.Column("door", sa.String(16)),
        sa.Column("method", sa.String(16)),
        sa.Column("session_id", _ID),
        sa.Column("token_id", sa.String()),
        sa.Column("revision", sa.String(64)),
        sa.Column("details", sa.JSON()),
    ):
        op.add_column("admin_actions", column)
    for name in _INDEXED:
        op.create_index(f"ix_admin_actions_{name}_id", "admin_actions", [name, "id"])
