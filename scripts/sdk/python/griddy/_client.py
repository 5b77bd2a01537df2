"""The synchronous client."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx

from . import models as m
from ._address import checked_base, checked_path, checked_token, segment
from ._deadline import limited_time, limited_tls
from ._errors import json_of
from ._exchange import (
    ACCEPTED_ENCODINGS,
    BodyReader,
    Outcome,
    RetryPolicy,
    checked_method,
    exchange,
    is_refused_token,
)
from ._resources import ApiKeys, Resource

Token = str | Callable[[], str]


class Griddy:
    """A client of the API at `base_url`.

    `token` is a token or an API key, or a function that returns the current one, which is called before each attempt.
    `timeout` is in seconds, for each attempt with its body. Without TLS, which is only for this machine, or with a
    `transport`, it applies to the body and to each wait for a part of the headers, since httpx has no other limit.
    `transport` is one of httpx, for example for a proxy.
    Raises ValueError for an address to which no token may be sent, and for what cannot be a token.
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
        base = checked_base(base_url)
        self._token = token if callable(token) else checked_token(token)
        self._retry = retry or RetryPolicy()
        self._timeout = timeout
        if base.scheme == "http":
            transport = transport or httpx.HTTPTransport()  # no proxy of the environment gets a token in the clear
        tls = limited_tls() if transport is None else True
        self._http = httpx.Client(base_url=base, timeout=timeout, transport=transport, verify=tls)
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
        return self._resource(f"games/{segment(game_id)}/drives")

    def video_asset_tags(
        self, video_asset_id: int
    ) -> Resource[m.VideoAssetTag, m.VideoAssetTagBody, m.VideoAssetTagPatch]:
        """The tags of a video asset."""
        return self._resource(f"video-assets/{segment(video_asset_id)}/tags")

    def request(self, method: str, path: str, *, json: Any = None) -> Any:
        """Send any request. Returns the body of the response, None if it is empty. Raises GriddyError."""
        response = self.send(method, path, json=json)
        return json_of(response) if response.content else None

    def send(self, method: str, path: str, *, json: Any = None) -> httpx.Response:
        """Send a request, again where that is safe. Returns a response that is a success. Raises GriddyError."""
        method, path = checked_method(method), checked_path(path)
        steps = exchange(method, self._retry, self._http.base_url)
        next(steps)
        token = self._current_token()
        may_renew = callable(self._token)
        while True:
            outcome = self._attempt(method, path, token, json)
            if may_renew and is_refused_token(outcome):
                may_renew = False
                refused, token = token, self._current_token()
                if token != refused:
                    continue
            try:
                wait = steps.send(outcome)
            except StopIteration as end:
                response: httpx.Response = end.value
                return response
            time.sleep(wait)
            token = self._current_token()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Griddy({str(self._http.base_url)!r})"

    def _current_token(self) -> str:
        return self._token if isinstance(self._token, str) else checked_token(self._token())

    def _attempt(self, method: str, path: str, token: str, json: Any) -> Outcome:
        headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": ACCEPTED_ENCODINGS}
        deadline = time.monotonic() + self._timeout
        try:
            with (
                limited_time(self._timeout),
                self._http.stream(method, path, json=json, headers=headers) as response,
            ):
                body = BodyReader(response, deadline)
                for chunk in response.iter_bytes():
                    body.add(chunk)
                return body.response()
        except httpx.RequestError as error:
            return error
        finally:
            self._http.cookies.clear()

    def _resource(self, path: str) -> Resource[Any, Any, Any]:
        return Resource(self, f"/api/v1/{path}/")
