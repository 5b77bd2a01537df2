"""What the token of a key's owner stated when the key was issued; a change of it is noted like any other."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

# What a verifier remembers of a key; when it was last used is none of it.
_REMEMBERED = "id, subject, environment, digest, scopes, expires_at, revoked_at, token_grants"
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
    # Nullable: of older keys it is not known, and the release before records none.
    op.add_column("api_keys", sa.Column("token_grants", sa.JSON()))
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER key_changed ON api_keys")
        op.execute(_POSTGRESQL)
    else:
        op.execute("DROP TRIGGER key_changed")
        op.execute(_SQLITE.format(remembered=_REMEMBERED))
