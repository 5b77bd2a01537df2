"""The networks that authorization requests and unused apps come from; unknown for those of the previous version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    for table in ("oauth_requests", "oauth_clients"):
        op.add_column(table, sa.Column("origin", sa.String(17), nullable=False, server_default=sa.text("''")))
    op.create_index("ix_oauth_requests_origin", "oauth_requests", ["origin"])
