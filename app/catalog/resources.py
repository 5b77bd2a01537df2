"""The catalogue over HTTP: a resource is a table and a line here."""

from __future__ import annotations

from app.db.tables import catalog as tables
from app.http.resource import Resource
from app.http.resources import routes

RESOURCES = (
    Resource("leagues", tables.League, tables.LeagueBody),
    Resource("seasons", tables.Season, tables.SeasonBody),
    Resource("franchises", tables.Franchise, tables.FranchiseBody),
    Resource("teams", tables.Team, tables.TeamBody),
    Resource("venues", tables.Venue, tables.VenueBody),
    Resource("games", tables.Game, tables.GameBody),
    Resource("games/{game_id}/drives", tables.Drive, tables.DriveBody),
)
ROUTES = [handler for resource in RESOURCES for handler in routes(resource)]
