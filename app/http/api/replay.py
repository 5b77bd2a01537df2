"""The API of replay: logged requests are decided under a candidate policy, and the result is streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import structlog
from litestar import Response, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody
from litestar.response import Stream
from pydantic import Field
from sqlalchemy.exc import SQLAlchemyError

from app.audit.decision_filter import read_period
from app.audit.replay import Replay
from app.audit.replay_view import ReplayProgress, ReplayResult
from app.db.replay import replay_steps
from app.http.api.candidate import FAULTY, MAX_FILES_BYTES, Candidate, FaultyPolicy, faulty, snapshot_of
from app.http.wire.json_body import only_json
from app.http.wire.json_lines import NDJSON, line_type
from app.http.wire.problems import invalid
from app.policy.engine.snapshot import Snapshot
from app.policy.language.fault import PolicyRefused
from app.services import AnyRequest, Services, services_of

PATH = "/api/v1/policies/replay"
MAX_CHANGES = 1_000  # in an answer
_KEPT = 10_000  # distinct changes that are counted to find the most frequent ones
_SLICES = 50  # of time, each read in one query and followed by a line
_encode = msgspec.json.Encoder().encode
_log = structlog.stdlib.get_logger("policy")


class CannotReplay(Exception):
    """The decision log cannot be read; the message says what to do."""


class ReplayPolicy(Candidate):
    """A policy to replay: its files, the period (`7d`, `12h`, `2026-11-20`), and the number of changes to return."""

    last: Annotated[str, Field(max_length=40)] = "7d"
    limit: Annotated[int, Field(ge=0, le=MAX_CHANGES)] = 100


@dataclass(frozen=True, slots=True)
class ReplayLine:
    """A line: `progress`, or in the last line `result` or, if the log cannot be read, `error`. Others are omitted.

    A response whose last line is neither is incomplete.
    """

    progress: ReplayProgress | None = None
    result: ReplayResult | None = None
    error: str | None = None


_ANSWERS: Mapping[int, ResponseSpec] = {
    200: ResponseSpec(ReplayLine, description="Lines of JSON, the result last", media_type=NDJSON),
    **FAULTY,
}


@post(
    PATH,
    status_code=200,
    before_request=only_json,
    request_max_body_size=MAX_FILES_BYTES,
    summary="Replay decisions under a policy",
    tags=["policies"],
    responses=_ANSWERS,
)
async def replay_policy(data: JSONBody[ReplayPolicy], request: AnyRequest) -> Stream | Response[FaultyPolicy]:
    """Decide the logged requests under the active policy and under a candidate, and report who gains or loses access.

    A change is where these two differ; `changed_since` counts what the active policy decides otherwise than was logged.
    Progress comes as it is made, and the result last. A process replays for one caller at a time; others wait.
    """
    services = services_of(request.app)
    try:
        period = read_period(data.last, datetime.now(UTC))
    except ValueError as error:
        raise invalid({"last": str(error)}) from None
    try:
        snapshot = await snapshot_of(data.files, services)
    except PolicyRefused as refused:
        return faulty(refused)
    lines = _lines(services, snapshot, period, data)
    return Stream(lines, media_type=line_type(request, NDJSON), headers={"Cache-Control": "no-store"})


async def _lines(
    services: Services, snapshot: Snapshot, times: tuple[int, int], data: ReplayPolicy
) -> AsyncIterator[bytes]:
    try:
        async for step in replayed(services, snapshot, times, limit=data.limit, last=data.last):
            yield _line(progress=step) if isinstance(step, ReplayProgress) else _line(result=step)
    except CannotReplay as error:
        yield _line(error=str(error))


async def replayed(
    services: Services, snapshot: Snapshot, times: tuple[int, int], *, limit: int, last: str
) -> AsyncIterator[ReplayProgress | ReplayResult]:
    """Replay the decisions between two times, in microseconds since 1970. The last line is the result.

    `limit` is the maximum number of changes in the result; `last` is the name of the period. Raises CannotReplay.
    """
    replay = Replay(snapshot, services.live.active, max_changes=_KEPT)
    yield ReplayProgress(0, 0)
    try:
        steps = replay_steps(services.sessions, replay, times, last=last, limit=limit, slices=_SLICES)
        async with services.replaying, aclosing(steps):
            async for step in steps:
                yield step
    except (SQLAlchemyError, OSError) as error:
        _log.error("a replay ended: the decision log cannot be read", error=type(error).__name__)
        raise CannotReplay("The decision log cannot be read now: ask again.") from None


def _line(**content: object) -> bytes:
    return _encode(content) + b"\n"
