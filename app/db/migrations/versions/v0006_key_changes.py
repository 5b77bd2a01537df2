"""Notes of which keys were changed, made by the database itself, so that no statement can change one unnoticed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# What a verifier remembers of a key; when it was last used is none of it.
_REMEMBERED = "id, subject, environment, digest, scopes, expires_at, revoked_at"
_SQLITE = """
CREATE TRIGGER key_{event} AFTER {what} ON api_keys BEGIN
  INSERT INTO key_changes (key_id, at) VALUES (OLD.id, CAST(strftime('%s', 'now') AS INTEGER));
END
"""
# The lock is held until the commit, so that notes are committed in the order of their ids. A notification is sent by
# the commit, too.
_POSTGRESQL = (
    """
    CREATE FUNCTION note_key_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM pg_advisory_xact_lock(418480370812);
      INSERT INTO key_changes (key_id, at) VALUES (OLD.id, extract(epoch FROM clock_timestamp())::bigint);
      PERFORM pg_notify('authz', 'key ' || OLD.id);
      RETURN NULL;
    END $$
    """,
    f"""
    CREATE TRIGGER key_changed AFTER UPDATE OF {_REMEMBERED} OR DELETE ON api_keys
    FOR EACH ROW EXECUTE FUNCTION note_key_change()
    """,
    # Row by row nothing would be noted.
    """
    CREATE FUNCTION refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION 'api_keys cannot be truncated: keys that are remembered would live on; use DELETE';
    END $$
    """,
    """
    CREATE TRIGGER keys_truncated BEFORE TRUNCATE ON api_keys
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate()
    """,
)


def upgrade() -> None:
    op.create_table(
        "key_changes",
        sa.Column("id", _ID, nullable=False),
        sa.Column("key_id", _ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_key_changes"),
        sqlite_autoincrement=True,
    )
    if op.get_bind().dialect.name == "postgresql":
        for statement in _POSTGRESQL:
            op.execute(statement)
    else:
        op.execute(_SQLITE.format(event="changed", what=f"UPDATE OF {_REMEMBERED}"))
        op.execute(_SQLITE.format(event="deleted", what="DELETE"))
