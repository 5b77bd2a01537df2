"""API keys, the catalog and the holdings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_WORD = sa.String(20)
_NAME = sa.String(120)
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    _table(
        "api_keys",
        sa.Column("subject", sa.String(), nullable=False, index=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("environment", sa.String(8), nullable=False),
        sa.Column("key_prefix", sa.String(32), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("last_used_at", _TIME),
        sa.Column("expires_at", _TIME),
        sa.Column("revoked_at", _TIME),
        unique=[("digest",)],
    )
    _catalog()
    _holdings()


def _catalog() -> None:
    _table(
        "leagues",
        sa.Column("name", _NAME, nullable=False),
        sa.Column("abbreviation", sa.String(8), nullable=False),
        sa.Column("country", sa.String(2), nullable=False),
        unique=[("abbreviation",)],
    )
    _table(
        "seasons",
        _reference("seasons", "league_id", "leagues"),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        unique=[("league_id", "year")],
    )
    _table(
        "franchises",
        _reference("franchises", "league_id", "leagues"),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("first_season", sa.Integer()),
        unique=[("league_id", "name")],
    )
    _table(
        "venues",
        sa.Column("name", _NAME, nullable=False),
        sa.Column("city", _NAME, nullable=False),
        sa.Column("state", sa.String()),
        sa.Column("country", sa.String(2), nullable=False),
        sa.Column("capacity", sa.Integer()),
        sa.Column("roof", _WORD, nullable=False),
        sa.Column("surface", _WORD, nullable=False),
        sa.Column("opened", sa.Integer()),
        unique=[("name", "city")],
    )
    _table(
        "teams",
        _reference("teams", "franchise_id", "franchises"),
        _reference("teams", "venue_id", "venues", nullable=True),
        sa.Column("location", _NAME, nullable=False),
        sa.Column("nickname", _NAME, nullable=False),
        sa.Column("abbreviation", sa.String(8), nullable=False),
        sa.Column("conference", sa.String()),
        sa.Column("division", sa.String()),
        unique=[("franchise_id", "location", "nickname")],
    )
    _table(
        "games",
        _reference("games", "season_id", "seasons"),
        sa.Column("kind", _WORD, nullable=False),
        sa.Column("week", sa.Integer(), nullable=False),
        sa.Column("title", sa.String()),
        sa.Column("kickoff", _TIME, nullable=False),
        _reference("games", "venue_id", "venues", nullable=True),
        sa.Column("neutral_site", sa.Boolean(), nullable=False),
        _reference("games", "home_team_id", "teams"),
        _reference("games", "away_team_id", "teams"),
        sa.Column("status", _WORD, nullable=False),
        sa.Column("home_score", sa.Integer()),
        sa.Column("away_score", sa.Integer()),
        unique=[("season_id", "kind", "week", "home_team_id", "away_team_id")],
    )
    _table(
        "drives",
        _reference("drives", "game_id", "games"),
        sa.Column("number", sa.Integer(), nullable=False),
        _reference("drives", "team_id", "teams"),
        sa.Column("quarter", sa.Integer(), nullable=False),
        sa.Column("clock", sa.String(5), nullable=False),
        sa.Column("yards_to_goal", sa.Integer(), nullable=False),
        sa.Column("plays", sa.Integer(), nullable=False),
        sa.Column("yards", sa.Integer(), nullable=False),
        sa.Column("result", _WORD, nullable=False),
        unique=[("game_id", "number")],
    )


def _holdings() -> None:
    _table(
        "sources",
        sa.Column("kind", _WORD, nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("url", sa.String()),
        sa.Column("note", sa.String()),
        unique=[("name",)],
    )
    _table(
        "acquisitions",
        _reference("acquisitions", "source_id", "sources"),
        sa.Column("acquired_on", sa.Date(), nullable=False),
        sa.Column("cost", sa.BigInteger()),
        sa.Column("currency", sa.String()),
        sa.Column("note", sa.String()),
    )
    _table(
        "video_assets",
        _reference("video_assets", "acquisition_id", "acquisitions"),
        _reference("video_assets", "game_id", "games", nullable=True),
        sa.Column("title", _NAME, nullable=False),
        sa.Column("duration_seconds", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("storage_uri", sa.String(2000), nullable=False),
        unique=[("sha256",)],
    )
    _table(
        "tags",
        sa.Column("name", _NAME, nullable=False),
        sa.Column("description", sa.String()),
        unique=[("name",)],
    )
    _table(
        "video_asset_tags",
        _reference("video_asset_tags", "video_asset_id", "video_assets", ondelete="CASCADE"),
        _reference("video_asset_tags", "tag_id", "tags"),
        unique=[("video_asset_id", "tag_id")],
    )


def _table(name: str, *columns: sa.Column[object], unique: list[tuple[str, ...]] | None = None) -> None:
    constraints = [sa.UniqueConstraint(*together, name=f"uq_{name}_{'_'.join(together)}") for together in unique or []]
    primary = sa.PrimaryKeyConstraint("id", name=f"pk_{name}")
    op.create_table(
        name, sa.Column("id", _ID, nullable=False), *columns, primary, *constraints, sqlite_autoincrement=True
    )


def _reference(
    owner: str, column: str, table: str, *, nullable: bool = False, ondelete: str = "RESTRICT"
) -> sa.Column[object]:
    key = sa.ForeignKey(f"{table}.id", name=f"fk_{owner}_{column}", ondelete=ondelete)
    return sa.Column(column, _ID, key, nullable=nullable, index=True)
