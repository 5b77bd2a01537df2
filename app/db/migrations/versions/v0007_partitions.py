"""The decision log by the day, on PostgreSQL: the table becomes a partitioned one of the same name and columns.

What was logged so far stays where it is, as the partition of all days until tomorrow. Until this commits, the log can
be neither read nor written: its writers wait, and no request waits for them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0005"

_FILTERS = ("subject", "key_id", "resource", "action", "allowed", "revision", "request_id")
_INDEXES = {
    f"ix_decisions_{'_'.join(columns)}": columns for columns in [("at", "id"), *((c, "at", "id") for c in _FILTERS)]
}


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return  # SQLite has no partitions
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
