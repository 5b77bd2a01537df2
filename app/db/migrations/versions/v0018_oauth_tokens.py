"""What users allowed third-party apps, the tokens of these, and notes of which were changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)
_ACTIVE = sa.text("revoked_at IS NULL")
# The tables, what of them decides about an access token, the tag and the id of what a change affects.
_NOTED = (
    ("people", "subject, permissions, blocked_at", "person", "id"),
    ("oauth_clients", "client_id, kind, host, disabled_at", "app", "id"),
    ("oauth_grants", "person_id, app_id, revoked_at", "grant", "id"),
    ("oauth_families", "grant_id, resource, revoked_at", "family", "id"),
    ("oauth_access_tokens", "family_id, digest, scopes, expires_at, revoked_at", "family", "family_id"),
)
# An expired access token is deleted unnoticed: no cache accepts it.
_SQLITE_LIVE = "WHEN OLD.expires_at > strftime('%Y-%m-%d %H:%M:%S', 'now')"
_SQLITE = """
CREATE TRIGGER {table}_{event} AFTER {what} ON {table} {only} BEGIN
  INSERT INTO oauth_changes (tag, at) VALUES ('{tag}:' || OLD.{column}, CAST(strftime('%s', 'now') AS INTEGER));
END
"""
# The lock is held until the commit, so that notes are committed in the order of their ids.
_FUNCTION = """
CREATE FUNCTION note_app_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  changed text := TG_ARGV[0] || ':' || (to_jsonb(OLD) ->> TG_ARGV[1]);
BEGIN
  PERFORM pg_advisory_xact_lock(418480370813);
  INSERT INTO oauth_changes (tag, at) VALUES (changed, extract(epoch FROM clock_timestamp())::bigint);
  PERFORM pg_notify('authz', 'app ' || changed);
  RETURN NULL;
END $$
"""
_POSTGRESQL = """
CREATE TRIGGER {table}_{event} AFTER {what} ON {table}
FOR EACH ROW {only} EXECUTE FUNCTION note_app_change('{tag}', '{column}')
"""
_NO_TRUNCATE = """
CREATE FUNCTION refuse_app_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% cannot be truncated: access tokens that are remembered would live on; use DELETE', TG_TABLE_NAME;
END $$
"""


def upgrade() -> None:
    op.create_table(
        "people",
        sa.Column("id", _ID, nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("permissions", sa.JSON(), nullable=False),
        sa.Column("signed_in_at", _TIME),
        sa.Column("blocked_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_people"),
        sa.UniqueConstraint("subject", name="uq_people_subject"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "oauth_grants",
        sa.Column("id", _ID, nullable=False),
        _reference("oauth_grants", "person_id", "people"),
        _reference("oauth_grants", "app_id", "oauth_clients"),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("app_version", sa.String(32), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("changed_at", _TIME, nullable=False),
        sa.Column("last_used_at", _TIME),
        sa.Column("revoked_at", _TIME, index=True),
        sa.PrimaryKeyConstraint("id", name="pk_oauth_grants"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_oauth_grants_person_id_app_id",
        "oauth_grants",
        ["person_id", "app_id"],
        unique=True,
        postgresql_where=_ACTIVE,
        sqlite_where=_ACTIVE,
    )
    op.create_table(
        "oauth_families",
        sa.Column("id", _ID, nullable=False),
        _reference("oauth_families", "grant_id", "oauth_grants"),
        sa.Column("selector", sa.LargeBinary(32), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("siblings", sa.Integer(), nullable=False),
        sa.Column("rotated_at", _TIME, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("refreshed_at", _TIME, nullable=False, index=True),
        sa.Column("revoked_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_oauth_families"),
        sa.UniqueConstraint("selector", name="uq_oauth_families_selector"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "oauth_access_tokens",
        sa.Column("id", _ID, nullable=False),
        _reference("oauth_access_tokens", "family_id", "oauth_families"),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("revoked_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_oauth_access_tokens"),
        sa.UniqueConstraint("digest", name="uq_oauth_access_tokens_digest"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "oauth_refresh_tokens",
        sa.Column("id", _ID, nullable=False),
        _reference("oauth_refresh_tokens", "family_id", "oauth_families"),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_oauth_refresh_tokens"),
        sa.UniqueConstraint("digest", name="uq_oauth_refresh_tokens_digest"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "oauth_codes",
        sa.Column("id", _ID, nullable=False),
        _reference("oauth_codes", "grant_id", "oauth_grants"),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("challenge", sa.String(43), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("expires_at", _TIME, nullable=False, index=True),
        sa.Column("wrong_verifiers", sa.Integer(), nullable=False),
        _reference("oauth_codes", "family_id", "oauth_families", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_oauth_codes"),
        sa.UniqueConstraint("digest", name="uq_oauth_codes_digest"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "oauth_requests",
        sa.Column("id", _ID, nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("browser", sa.LargeBinary(32)),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False, index=True),
        sa.PrimaryKeyConstraint("id", name="pk_oauth_requests"),
        sa.UniqueConstraint("digest", name="uq_oauth_requests_digest"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "oauth_changes",
        sa.Column("id", _ID, nullable=False),
        sa.Column("tag", sa.String(40), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_oauth_changes"),
        sqlite_autoincrement=True,
    )
    _note_changes()


def _reference(table: str, column: str, other: str, *, nullable: bool = False) -> sa.Column[int]:
    key = sa.ForeignKey(f"{other}.id", name=f"fk_{table}_{column}", ondelete="CASCADE")
    return sa.Column(column, _ID, key, nullable=nullable, index=True)


def _note_changes() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    if is_postgresql:
        op.execute(_FUNCTION)
        op.execute(_NO_TRUNCATE)
    for table, columns, tag, column in _NOTED:
        live = "WHEN (OLD.expires_at > now())" if is_postgresql else _SQLITE_LIVE
        for event, what in (("changed", f"UPDATE OF {columns}"), ("deleted", "DELETE")):
            only = live if (table, event) == ("oauth_access_tokens", "deleted") else ""
            template = _POSTGRESQL if is_postgresql else _SQLITE
            op.execute(template.format(table=table, event=event, what=what, tag=tag, column=column, only=only))
        if is_postgresql:
            op.execute(
                f"CREATE TRIGGER {table}_truncated BEFORE TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION refuse_app_truncate()"
            )
