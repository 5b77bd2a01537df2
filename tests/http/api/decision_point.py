"""A decision point in this process: AuthZEN's endpoints over a policy of a few rows, and what they log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from litestar import Litestar

from app.audit.batch import Batch
from app.audit.log import DecisionLog
from app.audit.record import DecisionKey
from app.db.session import Sessions
from app.http.api import domain_problems
from app.http.api.authzen import ROUTES
from app.http.api.authzen.recent import Recent
from app.http.door.long_work import LongWork
from app.http.door.traffic import Traffic
from app.http.wire import errors
from app.identity.principal import ANONYMOUS
from app.policy.engine.live import LivePolicy
from app.settings import Settings
from tests.support.services import state_of

Json = dict[str, Any]
EVALUATION, EVALUATIONS = "/access/v1/evaluation", "/access/v1/evaluations"
SEARCHES = {name: f"/access/v1/search/{name}" for name in ("subject", "resource", "action")}


class DecisionPoint:
    """Answers questions, and keeps the decisions that it logs. Keys of the environment live are accepted."""

    def __init__(self, live: LivePolicy, sessions: Sessions) -> None:
        self._written: list[DecisionKey] = []
        self._traffic = Traffic()
        self._long_work = LongWork(self._traffic)
        self.live, self._log = live, DecisionLog(self._write)
        state = state_of(
            live=live,
            decision_log=self._log,
            recent=Recent(),
            settings=Settings.model_construct(key_environments=("live",)),
            sessions=sessions,
            long_work=self._long_work,
        )
        handlers = {**errors.HANDLERS, **domain_problems.HANDLERS}
        self._app = Litestar(ROUTES, state=state, exception_handlers=handlers)

    async def _write(self, batch: Batch) -> None:
        self._written += [record.key for record in batch.records()]

    async def logged(self) -> list[DecisionKey]:
        """The decisions that were logged since the last call."""
        async with self._log:
            """What waits is written on leaving."""
        found, self._written = self._written, []
        return found

    @asynccontextmanager
    async def long_work(self) -> AsyncIterator[None]:
        """While another request of the same caller has the turn of long work."""
        self._traffic.enter()
        async with self._long_work.turn(ANONYMOUS.subject):
            yield
        self._traffic.leave()

    async def __call__(self, path: str, **body: Any) -> tuple[int, Any]:
        """The status of an answer, and its body or its detail."""
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": msgspec.json.encode(body), "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope: Any = {
            "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": path,
            "raw_path": path.encode(), "root_path": "", "query_string": b"", "client": ("127.0.0.1", 1),
            "server": ("a", 80), "extensions": {}, "asgi": {"version": "3.0"}, "user": ANONYMOUS,
            "headers": [(b"content-type", b"application/json")],
        }  # fmt: skip
        self._traffic.enter()
        await self._app(scope, receive, send)
        self._traffic.leave()
        found = msgspec.json.decode(sent[1]["body"])
        return sent[0]["status"], found if sent[0]["status"] == 200 else found["detail"]

    async def decisions(self, *evaluations: Json, **defaults: Any) -> list[bool]:
        """The decisions of a batch."""
        status, found = await self(EVALUATIONS, evaluations=list(evaluations), **defaults)
        assert status == 200
        return [each["decision"] for each in found["evaluations"]]
