"""The organization of a user at the last sign-in; none for the sign-ins of the previous version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    for table in ("console_sessions", "people"):
        op.add_column(table, sa.Column("organization", sa.JSON(), nullable=True))
