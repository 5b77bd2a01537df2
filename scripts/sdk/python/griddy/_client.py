"""The synchronous client."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx

from . import models as m
from ._address import checked_base, checked_path, checked_token
from ._errors import content_of
from ._exchange import Outcome, RetryPolicy, exchange
from ._resources import ApiKeys, Resource

Token = str | Callable[[], str]


class Griddy:
    """A client of the API at `base_url`.

    `token` is a token or an API key, or a function that returns the current one, which is called before each attempt.
    `timeout` is in seconds, for the connection and for each read of an attempt. `transport` is one of httpx, for
    example for a proxy.
    """

    def __init__(
        self,
        base_url: str,
        token: Token,
        *,
        timeout: float = 10.0,
        retry: RetryPolicy | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._token = checked_token(token) if isinstance(token, str) else token
        self._retry = retry or RetryPolicy()
        self._http = httpx.Client(base_url=checked_base(base_url), timeout=timeout, transport=transport)
        self.api_keys = ApiKeys(self)
        self.leagues: Resource[m.League, m.LeagueBody, m.LeaguePatch] = self._resource("leagues")
        self.seasons: Resource[m.Season, m.SeasonBody, m.SeasonPatch] = self._resource("seasons")
        self.franchises: Resource[m.Franchise, m.FranchiseBody, m.FranchisePatch] = self._resource("franchises")
        self.teams: Resource[m.Team, m.TeamBody, m.TeamPatch] = self._resource("teams")
        self.venues: Resource[m.Venue, m.VenueBody, m.VenuePatch] = self._resource("venues")
        self.games: Resource[m.Game, m.GameBody, m.GamePatch] = self._resource("games")
        self.sources: Resource[m.Source, m.SourceBody, m.SourcePatch] = self._resource("sources")
        self.acquisitions: Resource[m.Acquisition, m.AcquisitionBody, m.AcquisitionPatch] = self._resource(
            "acquisitions"
        )
        self.video_assets: Resource[m.VideoAsset, m.VideoAssetBody, m.VideoAssetPatch] = self._resource("video-assets")
        self.tags: Resource[m.Tag, m.TagBody, m.TagPatch] = self._resource("tags")

    def drives(self, game_id: int) -> Resource[m.Drive, m.DriveBody, m.DrivePatch]:
        """The drives of a game."""
        return self._resource(f"games/{int(game_id)}/drives")

    def video_asset_tags(
        self, video_asset_id: int
    ) -> Resource[m.VideoAssetTag, m.VideoAssetTagBody, m.VideoAssetTagPatch]:
        """The tags of a video asset."""
        return self._resource(f"video-assets/{int(video_asset_id)}/tags")

    def request(self, method: str, path: str, *, json: Any = None) -> Any:
        """Send any request. Returns the JSON of the response, None if it has no body. Raises GriddyError."""
        response = self.send(method, path, json=json)
        return content_of(response) if response.content else None

    def send(self, method: str, path: str, *, json: Any = None) -> httpx.Response:
        """Send a request, again where that is safe. Returns a response that is a success. Raises GriddyError."""
        checked_path(path)
        steps = exchange(method, self._retry)
        wait = next(steps)
        while True:
            if wait:
                time.sleep(wait)
            try:
                wait = steps.send(self._attempt(method, path, json))
            except StopIteration as end:
                response: httpx.Response = end.value
                return response

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _attempt(self, method: str, path: str, json: Any) -> Outcome:
        token = self._token if isinstance(self._token, str) else self._token()
        headers = {"Authorization": f"Bearer {checked_token(token)}"}
        try:
            return self._http.request(method, path, json=json, headers=headers)
        except httpx.RequestError as error:
            return error

    def _resource(self, path: str) -> Resource[Any, Any, Any]:
        return Resource(self, f"/api/v1/{path}/")
