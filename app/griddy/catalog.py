"""The resources of the catalog."""

from __future__ import annotations

from app.griddy.handlers import routes
from app.griddy.resource import TableResource, tags_of
from app.griddy.tables import catalog as tables

RESOURCES = (
    TableResource("leagues", tables.League, tables.LeagueBody),
    TableResource("seasons", tables.Season, tables.SeasonBody),
    TableResource("franchises", tables.Franchise, tables.FranchiseBody),
    TableResource("teams", tables.Team, tables.TeamBody),
    TableResource("venues", tables.Venue, tables.VenueBody),
    TableResource("games", tables.Game, tables.GameBody),
    TableResource("games/{game_id}/drives", tables.Drive, tables.DriveBody),
)
ROUTES = [handler for resource in RESOURCES for handler in routes(resource)]
TAGS = tags_of(RESOURCES)
