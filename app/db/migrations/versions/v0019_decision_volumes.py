"""How much space the decision log takes, by class and day, and what was deleted because it took too much.

The columns of `decision_keys` have a default, with which servers of the previous version go on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# The class of a key: 0 for known callers, 1 for AuthZEN requests, 2 for callers without valid credentials.
_SET_CLASSES = """
    UPDATE decision_keys SET byte_count = 300, decision_class = CASE
        WHEN (SELECT door FROM decision_targets WHERE id = target_id) = 'authzen' THEN 1
        WHEN coalesce((SELECT method FROM decision_callers WHERE id = caller_id), 'anonymous') = 'anonymous' THEN 2
        ELSE 0 END
"""
_CLASS = "CASE k.decision_class WHEN 0 THEN 'known' WHEN 1 THEN 'authzen' ELSE 'anonymous' END"
# Days count since 1970, seconds since 2020.
_COUNT_ROWS = """
    INSERT INTO decision_volumes (day, decision_class, row_count, byte_count, freed_bytes)
    SELECT r.second / 86400 + 18262, {decision_class}, count(*), count(*) * {row_bytes}
        + sum(length(r.request_id) + coalesce(length(r.token_id), 0)), 0
    FROM decision_rows AS r JOIN decision_keys AS k ON k.id = r.decision_key_id GROUP BY 1, 2
"""
_COUNT_KEYS = """
    INSERT INTO decision_volumes (day, decision_class, row_count, byte_count, freed_bytes)
    SELECT -1000000, {decision_class}, 0, sum(k.byte_count), 0 FROM decision_keys AS k GROUP BY 2
"""


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    if not is_sqlite:
        # The lock of the log's writers, before any of a table that they write to.
        op.execute(f"SELECT pg_advisory_xact_lock({0x617574687B})")
    for name, kind in (("decision_class", sa.SmallInteger()), ("byte_count", sa.Integer())):
        op.add_column("decision_keys", sa.Column(name, kind, nullable=False, server_default=sa.text("0")))
    op.create_index("ix_decision_callers_grant_set_id", "decision_callers", ["grant_set_id"])
    op.create_table(
        "decision_volumes",
        sa.Column("id", _ID, nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("decision_class", sa.String(16), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("byte_count", sa.BigInteger(), nullable=False),
        sa.Column("freed_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_decision_volumes"),
        sa.UniqueConstraint("day", "decision_class", name="uq_decision_volumes_day_decision_class"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "decision_deletions",
        sa.Column("id", _ID, nullable=False),
        sa.Column("decision_class", sa.String(16), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_decision_deletions"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_decision_deletions_deleted_at", "decision_deletions", ["deleted_at"])
    _count(is_sqlite)


def _count(is_sqlite: bool) -> None:
    op.execute(_SET_CLASSES)
    op.execute(_COUNT_ROWS.format(decision_class=_CLASS, row_bytes=75 if is_sqlite else 190))
    op.execute(_COUNT_KEYS.format(decision_class=_CLASS))
