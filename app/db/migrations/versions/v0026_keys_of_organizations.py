"""API keys of organizations, and the permissions of a console session in its organization; none for existing rows.

A server of the previous version puts no scope of such a key in force, since its `token_grants` are empty.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

# What a verifier remembers of a key; when it was last used is none of it.
_REMEMBERED = (
    "id, subject, environment, digest, scopes, expires_at, revoked_at, token_grants, organization, membership_grants"
)
_SQLITE = """
CREATE TRIGGER key_changed AFTER UPDATE OF {remembered} ON api_keys BEGIN
  INSERT INTO key_changes (key_id, at) VALUES (OLD.id, CAST(strftime('%s', 'now') AS INTEGER));
END
"""
_POSTGRESQL = f"""
CREATE TRIGGER key_changed AFTER UPDATE OF {_REMEMBERED} OR DELETE ON api_keys
FOR EACH ROW EXECUTE FUNCTION note_key_change()
"""


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("organization", sa.String(), nullable=True))
    op.add_column("api_keys", sa.Column("created_by", sa.String(), nullable=True))
    op.add_column("api_keys", sa.Column("membership_grants", sa.JSON(), nullable=True))
    op.add_column("console_sessions", sa.Column("org_permissions", sa.JSON(), nullable=True))
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER key_changed ON api_keys")
        op.execute(_POSTGRESQL)
    else:
        op.execute("DROP TRIGGER key_changed")
        op.execute(_SQLITE.format(remembered=_REMEMBERED))
