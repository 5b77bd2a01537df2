"""The keys of an owner in their order, so that a page of them is read without the others."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_index("ix_api_keys_subject_id", "api_keys", ["subject", "id"])
