"""The sample data: consistent, and loaded once."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import open_engine
from app.db.migrate import upgrade
from app.db.session import sessions_of
from app.db.tables import metadata
from app.griddy import sample

Rows = list[dict[str, Any]]
Database = dict[str, Rows]


async def _all(session: AsyncSession) -> Database:
    return {
        table.name: [dict(row) for row in (await session.execute(select(table).order_by(table.c.id))).mappings()]
        for table in metadata.sorted_tables
    }


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, int], Database]:
    return asyncio.run(_load(tmp_path_factory.mktemp("sample")))


async def _load(directory: Path) -> tuple[dict[str, int], Database]:
    url = f"sqlite:///{directory / 'sample.db'}"
    await upgrade(url)
    engine = open_engine(url)
    try:
        async with sessions_of(engine)() as session:
            counts = await sample.load(session)
            await session.commit()
            return counts, await _all(session)
    finally:
        await engine.dispose()


@pytest.fixture(scope="module")
def rows(loaded: tuple[dict[str, int], Database]) -> Database:
    return loaded[1]


def _by_id(rows: Rows) -> dict[int, dict[str, Any]]:
    return {row["id"]: row for row in rows}


def test_loading_returns_the_number_of_rows_per_table(loaded: tuple[dict[str, int], Database]) -> None:
    counts, rows = loaded
    assert counts == {name: len(held) for name, held in rows.items() if held}
    assert counts["leagues"] == 1
    assert "api_keys" not in counts


def test_there_are_32_teams_in_8_divisions_of_4_and_2_conferences_of_16(rows: Database) -> None:
    assert len(rows["teams"]) == len({team["abbreviation"] for team in rows["teams"]}) == 32
    assert set(Counter(team["division"] for team in rows["teams"]).values()) == {4}
    assert len({team["division"] for team in rows["teams"]}) == 8
    assert Counter(team["conference"] for team in rows["teams"]) == {"AFC": 16, "NFC": 16}
    assert all(team["division"].split() == [team["conference"], team["division"].split()[1]] for team in rows["teams"])


def test_every_team_has_a_franchise_and_a_home_and_two_pairs_share_one(rows: Database) -> None:
    venues = _by_id(rows["venues"])
    tenants = defaultdict(set)
    for team in rows["teams"]:
        tenants[venues[team["venue_id"]]["name"]].add(team["abbreviation"])
    assert len(venues) == len(tenants) == 30
    shared = {name: teams for name, teams in tenants.items() if len(teams) > 1}
    assert shared == {"MetLife Stadium": {"NYG", "NYJ"}, "SoFi Stadium": {"LAC", "LAR"}}
    assert len({team["franchise_id"] for team in rows["teams"]}) == len(rows["franchises"]) == 32
    names = _by_id(rows["franchises"])
    for team in rows["teams"]:
        assert names[team["franchise_id"]]["name"] == f"{team['location']} {team['nickname']}"


def test_venues_are_complete(rows: Database) -> None:
    for venue in rows["venues"]:
        assert 60_000 < venue["capacity"] < 85_000
        assert 1924 <= venue["opened"] <= 2020
        assert len(venue["state"]) == 2
    assert Counter(venue["roof"] for venue in rows["venues"]) == {"open": 20, "fixed": 5, "retractable": 5}


def test_games_belong_to_their_season_and_the_finals_have_their_scores(rows: Database) -> None:
    seasons, teams, venues = _by_id(rows["seasons"]), _by_id(rows["teams"]), _by_id(rows["venues"])
    assert [season["year"] for season in rows["seasons"]] == [2022, 2023, 2024]
    finals = {}
    for game in rows["games"]:
        season = seasons[game["season_id"]]
        assert season["starts_on"] <= game["kickoff"].date() <= season["ends_on"] or game["week"] == 1
        assert game["status"] == "final"
        assert game["home_score"] != game["away_score"]
        if game["neutral_site"]:
            finals[game["title"]] = (
                game["kickoff"].isoformat(),
                venues[game["venue_id"]]["name"],
                teams[game["home_team_id"]]["abbreviation"],
                game["home_score"],
                game["away_score"],
                teams[game["away_team_id"]]["abbreviation"],
            )
        else:
            assert game["venue_id"] == teams[game["home_team_id"]]["venue_id"]
    assert finals == {
        "Super Bowl LVII": ("2023-02-12T23:30:00+00:00", "State Farm Stadium", "PHI", 35, 38, "KC"),
        "Super Bowl LVIII": ("2024-02-11T23:30:00+00:00", "Allegiant Stadium", "KC", 25, 22, "SF"),
        "Super Bowl LIX": ("2025-02-09T23:30:00+00:00", "Caesars Superdome", "PHI", 40, 22, "KC"),
    }


def test_the_drives_of_super_bowl_lviii_add_up_to_its_score(rows: Database) -> None:
    (game,) = [game for game in rows["games"] if game["title"] == "Super Bowl LVIII"]
    assert {drive["game_id"] for drive in rows["drives"]} == {game["id"]}
    assert [drive["number"] for drive in rows["drives"]] == list(range(1, 27))
    when = [(drive["quarter"], -_seconds(drive["clock"])) for drive in rows["drives"]]
    assert when == sorted(when)
    points: Counter[int] = Counter()
    for drive in rows["drives"]:
        points[drive["team_id"]] += {"touchdown": 6, "field_goal": 3}.get(drive["result"], 0)
        assert drive["yards"] <= drive["yards_to_goal"]
        assert (drive["yards"] == drive["yards_to_goal"]) == (drive["result"] == "touchdown")
    # Each team made one extra point; the second of San Francisco was blocked, and the last touchdown had none.
    assert points == {game["home_team_id"]: game["home_score"] - 1, game["away_team_id"]: game["away_score"] - 1}


def _seconds(clock: str) -> int:
    minutes, seconds = clock.split(":")
    return int(minutes) * 60 + int(seconds)


def test_holdings_are_marked_as_examples(rows: Database) -> None:
    assert all(source["name"].startswith("Example ") for source in rows["sources"])
    assert all(asset["title"].startswith("Example: ") for asset in rows["video_assets"])
    assert all(".example" in source["url"] for source in rows["sources"] if source["url"])
    assert all(asset["storage_uri"].startswith("s3://example-") for asset in rows["video_assets"])


def test_loading_again_keeps_changed_rows(tmp_path: Path) -> None:
    asyncio.run(_load_twice(tmp_path))


async def _load_twice(directory: Path) -> None:
    url = f"sqlite:///{directory / 'twice.db'}"
    await upgrade(url)
    engine = open_engine(url)
    teams, drives = metadata.tables["teams"], metadata.tables["drives"]
    try:
        async with sessions_of(engine)() as session:
            assert await sample.load(session)
            await session.execute(delete(drives).where(drives.c.number == 1))
            await session.execute(update(teams).where(teams.c.abbreviation == "KC").values(nickname="Renamed"))
            await session.commit()
            before = await _all(session)
            await session.commit()
            assert await sample.load(session) == {}
            await session.commit()
            assert await _all(session) == before
    finally:
        await engine.dispose()
