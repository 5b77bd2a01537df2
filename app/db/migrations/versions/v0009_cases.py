"""How the cases of a published policy came out, and why failing ones were accepted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # Nullable: of older revisions it is not known, and the release before writes none.
    for name in ("cases_run", "cases_failed", "cases_removed"):
        op.add_column("policy_revisions", sa.Column(name, _COUNT))
    op.add_column("policy_revisions", sa.Column("cases_accepted", sa.Text()))
