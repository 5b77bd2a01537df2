"""Forms of the console that are good once, and were sent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "used_forms",
        sa.Column("id", _ID, nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False, index=True),
        sa.PrimaryKeyConstraint("id", name="pk_used_forms"),
        sa.UniqueConstraint("digest", name="uq_used_forms_digest"),
        sqlite_autoincrement=True,
    )
