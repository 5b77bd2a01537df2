"""The tables of the catalog: leagues, seasons, franchises, teams, venues, games and drives."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import String, UniqueConstraint
from sqlmodel import Field

from app.db.tables.base import NEVER_REUSED, Body, refers_to, row_id
from app.db.tables.fields import (
    Abbreviation,
    Clock,
    Count,
    Country,
    Day,
    Flag,
    Id,
    Moment,
    Name,
    Ordinal,
    Score,
    Yards,
    Year,
)

_WORD = String(20)
Roof = Annotated[Literal["open", "fixed", "retractable"], Field(sa_type=_WORD)]
Surface = Annotated[Literal["grass", "artificial", "hybrid"], Field(sa_type=_WORD)]
GameKind = Annotated[Literal["preseason", "regular", "postseason"], Field(sa_type=_WORD)]
GameStatus = Annotated[Literal["scheduled", "in_progress", "final", "postponed", "canceled"], Field(sa_type=_WORD)]
DriveResult = Annotated[
    Literal[
        "touchdown",
        "field_goal",
        "missed_field_goal",
        "punt",
        "interception",
        "fumble",
        "downs",
        "safety",
        "end_of_half",
        "end_of_game",
    ],
    Field(sa_type=_WORD),
]


class LeagueBody(Body):
    """A competition."""

    name: Name
    abbreviation: Abbreviation = Field(unique=True)
    country: Country = Field(description="ISO 3166-1 alpha-2.")


class League(LeagueBody, table=True):
    __tablename__ = "leagues"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()


class SeasonBody(Body):
    """A season of a league."""

    league_id: Id = refers_to("leagues")
    year: Year = Field(description="The year in which it begins.")
    starts_on: Day
    ends_on: Day

    @field_validator("ends_on")
    @classmethod
    def _ends_later(cls, ends_on: Day, info: ValidationInfo) -> Day:
        if "starts_on" in info.data and ends_on < info.data["starts_on"]:
            raise PydanticCustomError("order", "must not be before starts_on")
        return ends_on


class Season(SeasonBody, table=True):
    __tablename__ = "seasons"
    __table_args__ = (UniqueConstraint("league_id", "year"), NEVER_REUSED)
    id: int = row_id()


class FranchiseBody(Body):
    """The organization of a team, which stays the same when the team moves or changes its name."""

    league_id: Id = refers_to("leagues")
    name: Name
    first_season: Year | None = Field(default=None, description="In this league, or in one that merged into it.")


class Franchise(FranchiseBody, table=True):
    __tablename__ = "franchises"
    __table_args__ = (UniqueConstraint("league_id", "name"), NEVER_REUSED)
    id: int = row_id()


class VenueBody(Body):
    """A place where games are played."""

    name: Name
    city: Name
    state: Name | None = Field(default=None, description="State or province, as its post writes it.")
    country: Country = Field(description="ISO 3166-1 alpha-2.")
    capacity: Count | None = Field(default=None, description="Seats for football.")
    roof: Roof
    surface: Surface
    opened: Year | None = None


class Venue(VenueBody, table=True):
    __tablename__ = "venues"
    __table_args__ = (UniqueConstraint("name", "city"), NEVER_REUSED)
    id: int = row_id()


class TeamBody(Body):
    """The current team of a franchise: place, nickname, division and home venue."""

    franchise_id: Id = refers_to("franchises")
    venue_id: Id | None = refers_to("venues", default=None, description="Its home.")
    location: Name = Field(description="The place it plays for, which need not be a city.")
    nickname: Name
    abbreviation: Abbreviation
    conference: Name | None = None
    division: Name | None = None


class Team(TeamBody, table=True):
    __tablename__ = "teams"
    __table_args__ = (UniqueConstraint("franchise_id", "location", "nickname"), NEVER_REUSED)
    id: int = row_id()


class GameBody(Body):
    """A game, scheduled or played."""

    season_id: Id = refers_to("seasons")
    kind: GameKind
    week: Ordinal = Field(description="Counted through the season; the postseason goes on counting.")
    title: Name | None = Field(default=None, description="The name of a game that has one.")
    kickoff: Moment = Field(description="As scheduled.")
    venue_id: Id | None = refers_to("venues", default=None)
    neutral_site: Flag = Field(default=False, description="Whether the home team is home by designation only.")
    home_team_id: Id = refers_to("teams")
    away_team_id: Id = refers_to("teams")
    status: GameStatus
    home_score: Score | None = None
    away_score: Score | None = None

    @field_validator("away_team_id")
    @classmethod
    def _two_teams(cls, away_team_id: int, info: ValidationInfo) -> int:
        if away_team_id == info.data.get("home_team_id"):
            raise PydanticCustomError("same_team", "must not be the home team")
        return away_team_id

    @field_validator("home_score", "away_score")
    @classmethod
    def _score_when_played(cls, score: int | None, info: ValidationInfo) -> int | None:
        status = info.data.get("status")
        if score is None and status in ("in_progress", "final"):
            raise PydanticCustomError("score", "must be given for a game in progress or final")
        if score is not None and status in ("scheduled", "postponed"):
            raise PydanticCustomError("score", "must not be given for a game that has not begun")
        return score


class Game(GameBody, table=True):
    __tablename__ = "games"
    __table_args__ = (UniqueConstraint("season_id", "kind", "week", "home_team_id", "away_team_id"), NEVER_REUSED)
    id: int = row_id()


class DriveBody(Body):
    """A drive: a possession of a team in a game."""

    number: Ordinal = Field(description="Counted through the game, both teams together.")
    team_id: Id = refers_to("teams")
    quarter: Ordinal = Field(description="Overtime begins at 5.")
    clock: Clock = Field(description="Left in the quarter when the drive began, mm:ss.")
    yards_to_goal: Ordinal = Field(description="From where the drive began to the opponents' goal line.")
    plays: Count = Field(description="From scrimmage, field goal attempts included, punts not.")
    yards: Yards = Field(description="Net, penalties included.")
    result: DriveResult


class Drive(DriveBody, table=True):
    __tablename__ = "drives"
    __table_args__ = (UniqueConstraint("game_id", "number"), NEVER_REUSED)
    id: int = row_id()
    game_id: int = refers_to("games")
