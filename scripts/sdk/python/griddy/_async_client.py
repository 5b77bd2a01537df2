"""The asynchronous client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from types import TracebackType
from typing import Any, Self

import httpx

from . import models as m
from ._address import checked_base, checked_path, checked_token
from ._async_resources import AsyncApiKeys, AsyncResource
from ._errors import content_of
from ._exchange import Outcome, RetryPolicy, exchange

AsyncToken = str | Callable[[], str | Awaitable[str]]


class AsyncGriddy:
    """A client of the API at `base_url`.

    `token` is a token or an API key, or a function that returns the current one, which is called before each attempt
    and may be asynchronous.
    `timeout` is in seconds, for the connection and for each read of an attempt. `transport` is one of httpx, for
    example for a proxy.
    """

    def __init__(
        self,
        base_url: str,
        token: AsyncToken,
        *,
        timeout: float = 10.0,
        retry: RetryPolicy | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._token = checked_token(token) if isinstance(token, str) else token
        self._retry = retry or RetryPolicy()
        self._http = httpx.AsyncClient(base_url=checked_base(base_url), timeout=timeout, transport=transport)
        self.api_keys = AsyncApiKeys(self)
        self.leagues: AsyncResource[m.League, m.LeagueBody, m.LeaguePatch] = self._resource("leagues")
        self.seasons: AsyncResource[m.Season, m.SeasonBody, m.SeasonPatch] = self._resource("seasons")
        self.franchises: AsyncResource[m.Franchise, m.FranchiseBody, m.FranchisePatch] = self._resource("franchises")
        self.teams: AsyncResource[m.Team, m.TeamBody, m.TeamPatch] = self._resource("teams")
        self.venues: AsyncResource[m.Venue, m.VenueBody, m.VenuePatch] = self._resource("venues")
        self.games: AsyncResource[m.Game, m.GameBody, m.GamePatch] = self._resource("games")
        self.sources: AsyncResource[m.Source, m.SourceBody, m.SourcePatch] = self._resource("sources")
        self.acquisitions: AsyncResource[m.Acquisition, m.AcquisitionBody, m.AcquisitionPatch] = self._resource(
            "acquisitions"
        )
        self.video_assets: AsyncResource[m.VideoAsset, m.VideoAssetBody, m.VideoAssetPatch] = self._resource(
            "video-assets"
        )
        self.tags: AsyncResource[m.Tag, m.TagBody, m.TagPatch] = self._resource("tags")

    def drives(self, game_id: int) -> AsyncResource[m.Drive, m.DriveBody, m.DrivePatch]:
        """The drives of a game."""
        return self._resource(f"games/{int(game_id)}/drives")

    def video_asset_tags(
        self, video_asset_id: int
    ) -> AsyncResource[m.VideoAssetTag, m.VideoAssetTagBody, m.VideoAssetTagPatch]:
        """The tags of a video asset."""
        return self._resource(f"video-assets/{int(video_asset_id)}/tags")

    async def request(self, method: str, path: str, *, json: Any = None) -> Any:
        """Send any request. Returns the JSON of the response, None if it has no body. Raises GriddyError."""
        response = await self.send(method, path, json=json)
        return content_of(response) if response.content else None

    async def send(self, method: str, path: str, *, json: Any = None) -> httpx.Response:
        """Send a request, again where that is safe. Returns a response that is a success. Raises GriddyError."""
        checked_path(path)
        steps = exchange(method, self._retry)
        wait = next(steps)
        while True:
            if wait:
                await asyncio.sleep(wait)
            try:
                wait = steps.send(await self._attempt(method, path, json))
            except StopIteration as end:
                response: httpx.Response = end.value
                return response

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _attempt(self, method: str, path: str, json: Any) -> Outcome:
        token = self._token if isinstance(self._token, str) else self._token()
        if isawaitable(token):
            token = await token
        headers = {"Authorization": f"Bearer {checked_token(token)}"}
        try:
            return await self._http.request(method, path, json=json, headers=headers)
        except httpx.RequestError as error:
            return error

    def _resource(self, path: str) -> AsyncResource[Any, Any, Any]:
        return AsyncResource(self, f"/api/v1/{path}/")
