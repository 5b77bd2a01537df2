"""The resources on a real SQLite file behind a real HTTP server, without the door."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from litestar import Litestar
from litestar.di import Provide
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.disk import DiskSpace
from app.db.engine import open_engine
from app.db.session import sessions_of
from app.griddy import catalog, holdings
from app.griddy.models import example_of
from app.http.wire import errors
from app.http.wire.model_schemas import ModelSchemas
from app.http.wire.session import provide_session
from tests.support.server import prepared_database
from tests.support.services import state_of

DATABASE = "resources.db"


def build(engine: AsyncEngine) -> Litestar:
    """An application with only the resources, on an upgraded database. It disposes of the engine at its end."""
    return Litestar(
        [*catalog.ROUTES, *holdings.ROUTES],
        dependencies={"session": Provide(provide_session)},
        state=state_of(sessions=sessions_of(engine), disk=DiskSpace(f"sqlite:///{engine.url.database}", 0)),
        exception_handlers=errors.HANDLERS,
        plugins=[ModelSchemas(example_of)],
        logging_config=None,
        on_shutdown=[engine.dispose],
    )


@contextmanager
def serving(directory: Path) -> Iterator[httpx.Client]:
    """A client of a server with an empty database in `directory`."""
    url = f"sqlite:///{shutil.copy(prepared_database(), directory / DATABASE)}"
    server = uvicorn.Server(uvicorn.Config(build(open_engine(url)), port=0, log_config=None, ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 10
        while not server.started:
            assert thread.is_alive(), "the server ended during startup"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


@dataclass(frozen=True, slots=True)
class Rows:
    """Creates rows that a test needs."""

    client: httpx.Client

    def create(self, path: str, **body: Any) -> int:
        """Create a row and return its id."""
        answer = self.client.post(f"/{path}/", json=body)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    def league(self, abbreviation: str = "NFL") -> int:
        return self.create("leagues", name="A league", abbreviation=abbreviation, country="US")

    def game(self, week: int = 1) -> dict[str, int]:
        """Create a game and everything that it refers to; return the ids by field."""
        league = self.league(f"L{week}")
        season = self.create("seasons", league_id=league, year=2024, starts_on="2024-09-05", ends_on="2025-02-09")
        franchise = self.create("franchises", league_id=league, name="A club")
        teams = [
            self.create(
                "teams", franchise_id=franchise, location=place, nickname="Bears", abbreviation=place[:2].upper()
            )
            for place in ("Home", "Away")
        ]
        ids = {"season_id": season, "home_team_id": teams[0], "away_team_id": teams[1]}
        game = self.create(
            "games", kind="regular", week=week, kickoff="2024-09-08T17:00:00Z", status="scheduled", **ids
        )
        return {"league_id": league, "franchise_id": franchise, **ids, "game_id": game}

    def video_asset(self) -> dict[str, int]:
        """Create a video asset and everything that it refers to."""
        source = self.create("sources", kind="archive", name="An archive")
        acquisition = self.create("acquisitions", source_id=source, acquired_on="2024-01-02")
        asset = self.create(
            "video-assets",
            acquisition_id=acquisition,
            title="Film",
            duration_seconds=60,
            width=640,
            height=480,
            sha256="0" * 64,
            storage_uri="s3://films/1",
        )
        return {"source_id": source, "acquisition_id": acquisition, "video_asset_id": asset}
