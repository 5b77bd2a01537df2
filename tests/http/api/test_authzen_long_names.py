"""Questions with names and grants as long as a body: neither the log nor its caches keep them."""

from __future__ import annotations

import gc
import shutil
import tracemalloc
from collections.abc import AsyncIterator, Callable

import pytest

from app.audit.record import MAX_TEXT
from app.db.engine import open_engine
from app.db.session import sessions_of
from app.policy.engine.live import LivePolicy
from tests.http.api.decision_point import EVALUATION, EVALUATIONS, DecisionPoint, Json
from tests.policy.small import TABLE, files
from tests.support.server import prepared_database

pytestmark = pytest.mark.anyio

ROWS = (
    "p, a:read, /x/**, GET, allow",
    "p, a:write, /x, POST, allow",
    "p, anyone, /y, GET, allow",
    "p, anyone, doc:2, read, allow",
    "p, a:read, doc, read, allow",
)
LONG = 200_000  # characters
QUESTIONS = 10
KEPT = LONG * QUESTIONS // 4  # bytes
READ: Json = {"name": "read"}
ANN: Json = {"type": "user", "id": "ann"}
DOC: Json = {"type": "doc", "id": "1"}


def long(number: int) -> str:
    return f"{number}-" + "ab.c" * (LONG // 4)


def user(**properties: object) -> Json:
    return {**ANN, "properties": properties}


KINDS: dict[str, Callable[[int], Json]] = {
    "action": lambda number: {"subject": ANN, "action": {"name": long(number)}, "resource": DOC},
    "resource": lambda number: {"subject": ANN, "action": READ, "resource": {"type": "doc", "id": long(number)}},
    "subject": lambda number: {"subject": {**ANN, "id": long(number)}, "action": READ, "resource": DOC},
    "type": lambda number: {"subject": {**ANN, "type": long(number)}, "action": READ, "resource": DOC},
    "party": lambda number: {"subject": user(act={"sub": long(number)}), "action": READ, "resource": DOC},
    "grant": lambda number: {"subject": user(permissions=[long(number)]), "action": READ, "resource": DOC},
    "grants": lambda number: {
        "subject": user(permissions=[f"{number:x}{each:x}" for each in range(2_500)]),
        "action": READ,
        "resource": DOC,
    },
}


@pytest.fixture(scope="module")
async def point(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DecisionPoint]:
    directory = tmp_path_factory.mktemp("point")
    shutil.copy(prepared_database(), directory / "authz.db")
    engine = open_engine(f"sqlite:///{directory / 'authz.db'}")
    policy = LivePolicy(directory, TABLE, files(*ROWS))
    yield DecisionPoint(policy, sessions_of(engine))
    await engine.dispose()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", [EVALUATION, EVALUATIONS])
async def test_what_a_caller_names_at_length_is_not_kept(
    point: DecisionPoint, kind: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.audit.batch_builder.MAX_CACHED_BYTES", 100_000)
    ask = KINDS[kind]
    await point(path, **ask(QUESTIONS))
    await point.logged()
    tracemalloc.start()
    try:
        for number in range(QUESTIONS):
            assert (await point(path, **ask(number)))[0] == 200
        waiting = tracemalloc.get_traced_memory()[0]
        logged = await point.logged()
        assert len(logged) == QUESTIONS
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after < KEPT
    assert waiting < KEPT or kind == "grants", "a decision with many grants takes more room in the queue instead"
    for key in logged:
        assert max(map(len, (key.subject, key.action, key.resource, key.impersonator or ""))) <= MAX_TEXT
        assert kind != "grant" or key.grants is None


@pytest.mark.parametrize("path", [EVALUATION, EVALUATIONS])
async def test_long_names_count_in_full(point: DecisionPoint, path: str) -> None:
    wide = user(permissions=["a:read", long(1)])
    for _ in range(2):
        assert await point(path, subject=wide, action=READ, resource=DOC) == (200, {"decision": True})
        assert await point(path, subject=user(permissions=[long(1)]), action=READ, resource=DOC) == (
            200,
            {"decision": False},
        )
    for number, resource in enumerate(("2", "2x", "2" + "x" * LONG)):
        sent = {"type": "doc", "id": resource}
        assert await point(path, subject=ANN, action=READ, resource=sent) == (200, {"decision": number == 0})
