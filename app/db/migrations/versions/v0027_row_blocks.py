"""Indexes on blocks of ids and of seconds on PostgreSQL, a third as large as those on the columns themselves.

Servers of the previous release write to the table `decisions`, which stays as it is.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"

_TABLE = "decision_rows"
_FORMER = ("id", "second", "decision_key_id_second")
# What a row is counted less than before, and what takes the place of a day for keys.
_SAVED_BYTES, _OF_KEYS = 65, -1_000_000
# What only grows needs no room for later entries, and the index on keys is rebuilt.
_FULL = {"fillfactor": 100}


def upgrade() -> None:
    for table in ("decision_callers", "decision_targets", "decision_outcomes"):
        # Nothing looks for it, and while it is indexed PostgreSQL cannot change it in place.
        op.drop_index(f"ix_{table}_last_day", table)
    if op.get_bind().dialect.name != "postgresql":
        return
    # The lock of the log's writers, before any of a table that they write to.
    op.execute(f"SELECT pg_advisory_xact_lock({0x617574687B})")
    for name in _FORMER:
        op.drop_index(f"ix_{_TABLE}_{name}", _TABLE)
    op.create_index(f"ix_{_TABLE}_id_block", _TABLE, [sa.text("(id >> 6)")], postgresql_with=_FULL)
    op.create_index(f"ix_{_TABLE}_second_block", _TABLE, [sa.text("(second >> 6)")], postgresql_with=_FULL)
    op.create_index(f"ix_{_TABLE}_decision_key_id", _TABLE, ["decision_key_id"], postgresql_with=_FULL)
    op.execute(
        f"UPDATE decision_volumes SET byte_count = greatest(byte_count - {_SAVED_BYTES} * row_count, 0) "  # noqa: S608  # numbers
        f"WHERE day <> {_OF_KEYS}"
    )
