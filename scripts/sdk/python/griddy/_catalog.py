"""Models of the API, written by `scripts/sdk/write_models.py`. Times are ISO 8601 in UTC."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class Drive(TypedDict):
    """A drive: a possession of a team in a game."""

    id: int
    game_id: int
    number: int
    team_id: int
    quarter: int
    clock: str
    yards_to_goal: int
    plays: int
    yards: int
    result: Literal[
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
    ]


class DriveBody(TypedDict):
    """A drive: a possession of a team in a game."""

    number: int
    team_id: int
    quarter: int
    clock: str
    yards_to_goal: int
    plays: int
    yards: int
    result: Literal[
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
    ]


class DrivePatch(TypedDict):
    """A drive: a possession of a team in a game. Omitted fields are not changed."""

    number: NotRequired[int]
    team_id: NotRequired[int]
    quarter: NotRequired[int]
    clock: NotRequired[str]
    yards_to_goal: NotRequired[int]
    plays: NotRequired[int]
    yards: NotRequired[int]
    result: NotRequired[
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
        ]
    ]


class Franchise(TypedDict):
    """The organization of a team, which stays the same when the team moves or changes its name."""

    id: int
    league_id: int
    name: str
    first_season: int | None


class FranchiseBody(TypedDict):
    """The organization of a team, which stays the same when the team moves or changes its name."""

    league_id: int
    name: str
    first_season: NotRequired[int | None]


class FranchisePatch(TypedDict):
    """The organization of a team, which stays the same when the team moves or changes its name. Omitted fields are
    not changed.
    """

    league_id: NotRequired[int]
    name: NotRequired[str]
    first_season: NotRequired[int | None]


class Game(TypedDict):
    """A game, scheduled or played."""

    id: int
    season_id: int
    kind: Literal["preseason", "regular", "postseason"]
    week: int
    title: str | None
    kickoff: str
    venue_id: int | None
    neutral_site: bool
    home_team_id: int
    away_team_id: int
    status: Literal["scheduled", "in_progress", "final", "postponed", "canceled"]
    home_score: int | None
    away_score: int | None


class GameBody(TypedDict):
    """A game, scheduled or played."""

    season_id: int
    kind: Literal["preseason", "regular", "postseason"]
    week: int
    title: NotRequired[str | None]
    kickoff: str
    venue_id: NotRequired[int | None]
    neutral_site: NotRequired[bool]
    home_team_id: int
    away_team_id: int
    status: Literal["scheduled", "in_progress", "final", "postponed", "canceled"]
    home_score: NotRequired[int | None]
    away_score: NotRequired[int | None]


class GamePatch(TypedDict):
    """A game, scheduled or played. Omitted fields are not changed."""

    season_id: NotRequired[int]
    kind: NotRequired[Literal["preseason", "regular", "postseason"]]
    week: NotRequired[int]
    title: NotRequired[str | None]
    kickoff: NotRequired[str]
    venue_id: NotRequired[int | None]
    neutral_site: NotRequired[bool]
    home_team_id: NotRequired[int]
    away_team_id: NotRequired[int]
    status: NotRequired[Literal["scheduled", "in_progress", "final", "postponed", "canceled"]]
    home_score: NotRequired[int | None]
    away_score: NotRequired[int | None]


class League(TypedDict):
    """A competition."""

    id: int
    name: str
    abbreviation: str
    country: str


class LeagueBody(TypedDict):
    """A competition."""

    name: str
    abbreviation: str
    country: str


class LeaguePatch(TypedDict):
    """A competition. Omitted fields are not changed."""

    name: NotRequired[str]
    abbreviation: NotRequired[str]
    country: NotRequired[str]


class Season(TypedDict):
    """A season of a league."""

    id: int
    league_id: int
    year: int
    starts_on: str
    ends_on: str


class SeasonBody(TypedDict):
    """A season of a league."""

    league_id: int
    year: int
    starts_on: str
    ends_on: str


class SeasonPatch(TypedDict):
    """A season of a league. Omitted fields are not changed."""

    league_id: NotRequired[int]
    year: NotRequired[int]
    starts_on: NotRequired[str]
    ends_on: NotRequired[str]


class Team(TypedDict):
    """The current team of a franchise: place, nickname, division and home venue."""

    id: int
    franchise_id: int
    venue_id: int | None
    location: str
    nickname: str
    abbreviation: str
    conference: str | None
    division: str | None


class TeamBody(TypedDict):
    """The current team of a franchise: place, nickname, division and home venue."""

    franchise_id: int
    venue_id: NotRequired[int | None]
    location: str
    nickname: str
    abbreviation: str
    conference: NotRequired[str | None]
    division: NotRequired[str | None]


class TeamPatch(TypedDict):
    """The current team of a franchise: place, nickname, division and home venue. Omitted fields are not changed."""

    franchise_id: NotRequired[int]
    venue_id: NotRequired[int | None]
    location: NotRequired[str]
    nickname: NotRequired[str]
    abbreviation: NotRequired[str]
    conference: NotRequired[str | None]
    division: NotRequired[str | None]


class Venue(TypedDict):
    """A place where games are played."""

    id: int
    name: str
    city: str
    state: str | None
    country: str
    capacity: int | None
    roof: Literal["open", "fixed", "retractable"]
    surface: Literal["grass", "artificial", "hybrid"]
    opened: int | None


class VenueBody(TypedDict):
    """A place where games are played."""

    name: str
    city: str
    state: NotRequired[str | None]
    country: str
    capacity: NotRequired[int | None]
    roof: Literal["open", "fixed", "retractable"]
    surface: Literal["grass", "artificial", "hybrid"]
    opened: NotRequired[int | None]


class VenuePatch(TypedDict):
    """A place where games are played. Omitted fields are not changed."""

    name: NotRequired[str]
    city: NotRequired[str]
    state: NotRequired[str | None]
    country: NotRequired[str]
    capacity: NotRequired[int | None]
    roof: NotRequired[Literal["open", "fixed", "retractable"]]
    surface: NotRequired[Literal["grass", "artificial", "hybrid"]]
    opened: NotRequired[int | None]
