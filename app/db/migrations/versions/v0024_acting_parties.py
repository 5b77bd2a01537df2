"""Who acts as the user of a console session, by the `act` claim; none for the sign-ins of the previous version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.add_column("console_sessions", sa.Column("act", sa.JSON(), nullable=True))
