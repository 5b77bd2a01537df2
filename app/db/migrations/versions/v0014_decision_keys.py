"""The decision log with keys: thin rows, and what many of them have in common, which is stored once.

The table `decisions` stays: servers of the previous release go on with it, and servers of this release move its rows.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _parts()
    op.create_table(
        "decision_keys",
        sa.Column("id", _ID, nullable=False),
        sa.Column("first_day", sa.Integer(), nullable=False),
        sa.Column("last_day", sa.Integer(), nullable=False),
        sa.Column("caller_id", _ID, nullable=False),
        sa.Column("target_id", _ID, nullable=False, index=True),
        sa.Column("outcome_id", _ID, nullable=False, index=True),
        sa.PrimaryKeyConstraint("id", name="pk_decision_keys"),
        sa.UniqueConstraint(
            "caller_id", "target_id", "outcome_id", name="uq_decision_keys_caller_id_target_id_outcome_id"
        ),
        sqlite_autoincrement=True,
    )
    if op.get_bind().dialect.name == "postgresql":
        _rows_by_day()
    else:
        _rows()
    op.create_index("ix_decision_rows_second", "decision_rows", ["second"])
    op.create_index("ix_decision_rows_decision_key_id_second", "decision_rows", ["decision_key_id", "second"])
    op.create_index("ix_decision_rows_request_id_part", "decision_rows", [sa.text("substr(request_id, 3, 3)")])


def _parts() -> None:
    for name, columns, indexed in (
        (
            "decision_callers",
            [
                sa.Column("subject", sa.String(), nullable=False),
                sa.Column("method", sa.String(16)),
                sa.Column("key_id", _ID),
                sa.Column("grant_set_id", _ID),
            ],
            ("subject", "key_id"),
        ),
        (
            "decision_targets",
            [
                sa.Column("door", sa.String(32), nullable=False),
                sa.Column("action", sa.String(), nullable=False),
                sa.Column("resource", sa.String(), nullable=False),
            ],
            ("action", "resource"),
        ),
        (
            "decision_outcomes",
            [
                sa.Column("allowed", sa.Boolean(), nullable=False),
                sa.Column("reason", sa.String(), nullable=False),
                sa.Column("rule_place", sa.String()),
                sa.Column("rule_text", sa.Text()),
                sa.Column("missing", sa.Text(), nullable=False),
                sa.Column("revision", sa.String(64), nullable=False),
            ],
            ("revision",),
        ),
    ):
        op.create_table(
            name,
            sa.Column("id", _ID, nullable=False),
            sa.Column("digest", sa.LargeBinary(20), nullable=False),
            sa.Column("first_day", sa.Integer(), nullable=False),
            sa.Column("last_day", sa.Integer(), nullable=False, index=True),
            *columns,
            sa.PrimaryKeyConstraint("id", name=f"pk_{name}"),
            sa.UniqueConstraint("digest", name=f"uq_{name}_digest"),
            sqlite_autoincrement=True,
        )
        for column in indexed:
            op.create_index(f"ix_{name}_{column}", name, [column])


def _rows() -> None:
    op.create_table(
        "decision_rows",
        sa.Column("id", _ID, nullable=False),
        sa.Column("decision_key_id", _ID, nullable=False),
        sa.Column("second", sa.Integer(), nullable=False),
        sa.Column("microsecond", sa.Integer(), nullable=False),
        sa.Column("latency", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer()),
        sa.Column("request_id", sa.LargeBinary(), nullable=False),
        sa.Column("token_id", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("id", name="pk_decision_rows"),
        sqlite_autoincrement=True,
    )
    # Both tables take their ids from the number here, which stands for each only after its first row.
    op.execute(
        "INSERT INTO sqlite_sequence (name, seq) SELECT 'decisions', 0 "
        "WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'decisions')"
    )


def _rows_by_day() -> None:
    # Both tables take their ids from one sequence, which makes them unique. A primary key would have to hold the second
    # too.
    op.execute("""
        CREATE TABLE decision_rows (
            id BIGINT NOT NULL DEFAULT nextval('decisions_id_seq'),
            decision_key_id BIGINT NOT NULL,
            second INTEGER NOT NULL,
            microsecond INTEGER NOT NULL,
            latency INTEGER NOT NULL,
            count INTEGER,
            request_id BYTEA NOT NULL,
            token_id BYTEA
        ) PARTITION BY RANGE (second)
    """)
    op.execute("ALTER SEQUENCE decisions_id_seq OWNED BY decision_rows.id")
    op.create_index("ix_decision_rows_id", "decision_rows", ["id"])
    # For decisions of a day that has no partition, so that none is ever refused.
    op.execute("CREATE TABLE decision_rows_default PARTITION OF decision_rows DEFAULT")
