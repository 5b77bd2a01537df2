"""The processes that serve, policy files that were left behind, and news of each new revision on PostgreSQL."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "replicas",
        sa.Column("id", _ID, nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", _ID, nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("revision", sa.String(64), nullable=False),
        sa.Column("entry_id", _ID),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("seen_at", _TIME, nullable=False, index=True),
        sa.Column("refused", sa.Text(), nullable=False),
        sa.Column("files", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_replicas"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "outdated_files",
        sa.Column("id", _ID, nullable=False),
        sa.Column("revision", sa.String(64), nullable=False),
        sa.Column("seen_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outdated_files"),
        sa.UniqueConstraint("revision", name="uq_outdated_files_revision"),
        sqlite_autoincrement=True,
    )
    if op.get_bind().dialect.name == "postgresql":
        # A trigger, so that every insert of a revision notifies; the notification is sent when the transaction commits.
        op.execute(
            "CREATE FUNCTION tell_of_policy() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_notify('authz', 'policy'); RETURN NULL; END $$"
        )
        op.execute(
            "CREATE TRIGGER tell_of_policy AFTER INSERT ON policy_revisions "
            "FOR EACH STATEMENT EXECUTE FUNCTION tell_of_policy()"
        )
