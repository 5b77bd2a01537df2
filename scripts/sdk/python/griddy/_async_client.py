"""The asynchronous client."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from types import TracebackType
from typing import Any, Self

import httpx

from . import models as m
from ._address import checked_base, checked_path, checked_token, segment
from ._async_resources import AsyncApiKeys, AsyncResource
from ._errors import json_of
from ._exchange import (
    ACCEPTED_ENCODINGS,
    LATE,
    BodyReader,
    Outcome,
    RetryPolicy,
    checked_method,
    exchange,
    is_refused_token,
)

AsyncToken = str | Callable[[], str | Awaitable[str]]


class AsyncGriddy:
    """A client of the API at `base_url`.

    `token` is a token or an API key, or a function that returns the current one, which is called before each attempt
    and may be asynchronous.
    `timeout` is in seconds, for each attempt with its body. `transport` is one of httpx, for example for a proxy.
    Raises ValueError for an address to which no token may be sent, and for what cannot be a token.
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
        base = checked_base(base_url)
        self._token = token if callable(token) else checked_token(token)
        self._retry = retry or RetryPolicy()
        self._timeout = timeout
        if base.scheme == "http":
            transport = transport or httpx.AsyncHTTPTransport()  # no proxy of the environment gets a token in the clear
        self._http = httpx.AsyncClient(base_url=base, timeout=timeout, transport=transport)
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
        return self._resource(f"games/{segment(game_id)}/drives")

    def video_asset_tags(
        self, video_asset_id: int
    ) -> AsyncResource[m.VideoAssetTag, m.VideoAssetTagBody, m.VideoAssetTagPatch]:
        """The tags of a video asset."""
        return self._resource(f"video-assets/{segment(video_asset_id)}/tags")

    async def request(self, method: str, path: str, *, json: Any = None) -> Any:
        """Send any request. Returns the body of the response, None if it is empty. Raises GriddyError."""
        response = await self.send(method, path, json=json)
        return json_of(response) if response.content else None

    async def send(self, method: str, path: str, *, json: Any = None) -> httpx.Response:
        """Send a request, again where that is safe. Returns a response that is a success. Raises GriddyError."""
        method, path = checked_method(method), checked_path(path)
        steps = exchange(method, self._retry, self._http.base_url)
        next(steps)
        token = await self._current_token()
        may_renew = callable(self._token)
        while True:
            outcome = await self._attempt(method, path, token, json)
            if may_renew and is_refused_token(outcome):
                may_renew = False
                refused, token = token, await self._current_token()
                if token != refused:
                    continue
            try:
                wait = steps.send(outcome)
            except StopIteration as end:
                response: httpx.Response = end.value
                return response
            await asyncio.sleep(wait)
            token = await self._current_token()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncGriddy({str(self._http.base_url)!r})"

    async def _current_token(self) -> str:
        if isinstance(self._token, str):
            return self._token
        token = self._token()
        return checked_token(await token if isawaitable(token) else token)

    async def _attempt(self, method: str, path: str, token: str, json: Any) -> Outcome:
        headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": ACCEPTED_ENCODINGS}
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._http.stream(method, path, json=json, headers=headers) as response,
            ):
                body = BodyReader(response, math.inf)  # there is a limit of the time already
                async for chunk in response.aiter_bytes():
                    body.add(chunk)
                return body.response()
        except TimeoutError:
            return httpx.ReadTimeout(LATE)
        except httpx.RequestError as error:
            return error
        finally:
            self._http.cookies.clear()

    def _resource(self, path: str) -> AsyncResource[Any, Any, Any]:
        return AsyncResource(self, f"/api/v1/{path}/")
