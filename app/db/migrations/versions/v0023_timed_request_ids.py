"""An index on request ids that only has those which the time of their decision does not find."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

_NAME, _TABLE = "ix_decision_rows_request_id_part", "decision_rows"
_IS_UNTIMED = sa.text("length(request_id) <> 8")


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    if not is_sqlite:
        # The lock of the log's writers, before any of a table that they write to.
        op.execute(f"SELECT pg_advisory_xact_lock({0x617574687B})")
        for change in ("DROP DEFAULT", "DROP NOT NULL"):
            op.execute(f"ALTER TABLE {_TABLE} ALTER COLUMN count {change}")
        # Ids only grow.
        op.drop_index("ix_decision_rows_id", _TABLE)
        op.create_index("ix_decision_rows_id", _TABLE, ["id"], postgresql_with={"fillfactor": 100})
    op.drop_index(_NAME, _TABLE)
    # Ids of this length are timed ones from now on.
    end = "X'00'" if is_sqlite else r"'\x00'::bytea"
    op.execute(f"UPDATE {_TABLE} SET request_id = request_id || {end} WHERE length(request_id) = 8")  # noqa: S608  # our own names
    op.create_index(
        _NAME, _TABLE, [sa.text("substr(request_id, 3, 3)")], sqlite_where=_IS_UNTIMED, postgresql_where=_IS_UNTIMED
    )
