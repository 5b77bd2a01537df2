"""Which key took the place of one that was rotated."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("successor_id", _ID))
    superseded = sa.text("successor_id IS NOT NULL")
    op.create_index("ix_api_keys_superseded", "api_keys", ["id"], postgresql_where=superseded, sqlite_where=superseded)
