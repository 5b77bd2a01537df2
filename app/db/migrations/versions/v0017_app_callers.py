"""The app and the impersonator of a caller, in the decision log and the admin log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

_OF_APPS = sa.text("client_id IS NOT NULL")


def upgrade() -> None:
    # NULL in rows that the previous release writes: none of its callers is an app.
    for table in ("decision_callers", "admin_actions"):
        op.add_column(table, sa.Column("client_id", sa.Text()))
        op.add_column(table, sa.Column("impersonator", sa.Text()))
    op.create_index(
        "ix_decision_callers_client_id",
        "decision_callers",
        ["client_id"],
        postgresql_where=_OF_APPS,
        sqlite_where=_OF_APPS,
    )
