"""Indexes on the times of an owner's keys, so that a page of very many does not read and sort all of them.

Servers of the previous release use them as well.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    for time in ("last_used_at", "expires_at"):
        where = sa.text(f"{time} IS NOT NULL")
        op.create_index(
            f"ix_api_keys_subject_{time}_id",
            "api_keys",
            ["subject", time, "id"],
            postgresql_where=where,
            sqlite_where=where,
        )
