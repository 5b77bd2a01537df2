"""Indexes by which everybody's keys are looked through; and on PostgreSQL the decision log by the day.

The log becomes a partitioned table of the same name and columns. What was logged so far stays where it is, as the
partition of all days until tomorrow. Until this commits, the log can be neither read nor written: its writers wait, and
no request waits for them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_FILTERS = ("subject", "key_id", "resource", "action", "allowed", "revision", "request_id")
_OF_SOME_KEYS = {
    "ix_api_keys_revoked": "revoked_at IS NOT NULL",
    "ix_api_keys_unused": "last_used_at IS NULL AND revoked_at IS NULL",
}
_INDEXES = {
    f"ix_decisions_{'_'.join(columns)}": columns for columns in [("at", "id"), *((c, "at", "id") for c in _FILTERS)]
}


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":  # SQLite has no partitions
        _partition()
    # Last, for keys can be neither issued nor revoked until this commits. They can be read, and are while it runs.
    by_bytes = {"key_prefix": "varchar_pattern_ops"}
    op.create_index("ix_api_keys_key_prefix", "api_keys", ["key_prefix"], postgresql_ops=by_bytes)
    op.create_index("ix_api_keys_last_used_at_id", "api_keys", ["last_used_at", "id"])
    op.create_index("ix_api_keys_expires_at_id", "api_keys", ["expires_at", "id"])
    for name, condition in _OF_SOME_KEYS.items():
        where = sa.text(condition)
        op.create_index(name, "api_keys", ["id"], postgresql_where=where, sqlite_where=where)


def _partition() -> None:
    _set_aside()
    op.execute("CREATE TABLE decisions (LIKE decisions_before INCLUDING DEFAULTS) PARTITION BY RANGE (at)")
    op.execute("ALTER SEQUENCE decisions_id_seq OWNED BY decisions.id")
    op.execute("ALTER TABLE decisions_before ALTER COLUMN id DROP DEFAULT")
    # A key of a partitioned table holds what it is partitioned by; ids are as unique as the sequence makes them.
    op.create_primary_key("pk_decisions", "decisions", ["id", "at"])
    for name, columns in _INDEXES.items():
        op.create_index(name, "decisions", list(columns))
    # For decisions of a day that has no partition, so that none is ever refused.
    op.execute("CREATE TABLE decisions_default PARTITION OF decisions DEFAULT")
    if op.get_bind().execute(sa.text("SELECT EXISTS (SELECT FROM decisions_before)")).scalar():
        _attach()
    else:
        op.drop_table("decisions_before")


def _set_aside() -> None:
    op.execute("LOCK TABLE decisions IN ACCESS EXCLUSIVE MODE")
    op.rename_table("decisions", "decisions_before")
    op.drop_constraint("pk_decisions", "decisions_before")
    for name in _INDEXES:
        op.execute(f"ALTER INDEX {name} RENAME TO {name.replace('decisions', 'decisions_before')}")


def _attach() -> None:
    """Make a partition of what was logged so far; its indexes are those of the whole but for the key's."""
    op.create_primary_key("pk_decisions_before", "decisions_before", ["id", "at"])
    tomorrow = (
        op.get_bind()
        .execute(sa.text("SELECT 86400000000 * (1 + floor(extract(epoch FROM now()) / 86400))::bigint"))
        .scalar_one()
    )
    # A clock that is ahead has written into the future.
    op.execute(
        f"WITH later AS (DELETE FROM decisions_before WHERE at >= {tomorrow:d} RETURNING *) "  # noqa: S608  # a number
        "INSERT INTO decisions SELECT * FROM later"
    )
    op.execute(f"ALTER TABLE decisions ATTACH PARTITION decisions_before FOR VALUES FROM (MINVALUE) TO ({tomorrow:d})")
