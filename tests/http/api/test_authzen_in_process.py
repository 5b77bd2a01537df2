"""AuthZEN's endpoints in this process, with a policy of a few rows: each answer in full, and what is logged of it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from app.db.engine import open_engine
from app.db.session import sessions_of
from app.db.tables.keys import ApiKey
from app.policy.engine.live import LivePolicy
from tests.http.api.decision_point import EVALUATION, EVALUATIONS, SEARCHES, DecisionPoint, Json
from tests.policy.small import TABLE, files, snapshot
from tests.support.server import prepared_database

pytestmark = pytest.mark.anyio

ROWS = (
    "p, a:read, /x/**, GET, allow",
    "p, a:write, /x, POST, allow",
    "p, anyone, /y, GET, allow",
    "p, anyone, doc, read, allow, \"context.open == true && resource.properties.color == 'red'\"",
    "p, anyone, doc:own, write, allow, \"subject.id == 'ann' && action.properties.why == 'x'\"",
    'p, anyone, doc, write, deny, "has(context.shut)"',
    "p, anyone, free, read, allow",
    "p, anyone, free:shut, read, deny",
    "p, auth:api_key a:read, keyed, read, allow",
    "p, user:ann, doc, sign, allow",
    'p, anyone, doc, list, allow, "!(has(context.shut) || has(subject.properties.age) || has(action.properties.why))"',
)
ENTITIES = "resources: [{type: doc, id: own, properties: {color: red}}, {type: doc, id: other, properties: {}}]"
ANN: Json = {"type": "user", "id": "ann"}
READER: Json = {"type": "user", "id": "bob", "properties": {"permissions": ["a:read"]}}
READ, LIST, GET = ({"name": name} for name in ("read", "list", "GET"))
OWN, FREE, SHUT = (
    {"type": kind, "id": identity} for kind, identity in (("doc", "own"), ("free", "1"), ("free", "shut"))
)
X: Json = {"type": "route", "id": "/x/7"}
NOT_HELD = "missing grants"


@pytest.fixture(scope="module")
async def point(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DecisionPoint]:
    """A decision point with three keys, of which one was revoked and one is of another environment."""
    tmp_path = tmp_path_factory.mktemp("point")
    shutil.copy(prepared_database(), tmp_path / "authz.db")
    engine = open_engine(f"sqlite:///{tmp_path / 'authz.db'}")
    sessions = sessions_of(engine)
    now = datetime.now(UTC)
    async with sessions() as session:
        for number, (environment, revoked) in enumerate((("live", None), ("live", now), ("test", None)), 1):
            key = ApiKey(
                id=number,
                name="k",
                subject="owner",
                environment=environment,
                key_prefix="grd_live_ab",
                scopes=["a:read"],
                digest=bytes([number]) * 32,
                created_at=now - timedelta(days=1),
                revoked_at=revoked,
            )
            session.add(key)
        await session.commit()
    yield DecisionPoint(LivePolicy(tmp_path, TABLE, files(*ROWS, entities=ENTITIES)), sessions)
    await engine.dispose()


@pytest.mark.parametrize(
    ("subject", "action", "resource", "context", "decision"),
    [
        (READER, GET, X, None, True),
        (ANN, GET, X, None, False),
        (ANN, GET, {"type": "route", "id": "/y"}, None, True),
        (ANN, READ, OWN, {"open": True}, True),
        (ANN, READ, OWN, {"open": False}, False),
        (ANN, READ, OWN, None, False),
        (ANN, READ, {"type": "doc", "id": "other"}, {"open": True}, False),
        (ANN, READ, {"type": "doc", "id": "none", "properties": {"color": "red"}}, {"open": True}, True),
        (ANN, READ, {**OWN, "properties": {"color": "blue"}}, {"open": True}, False),
        (ANN, {"name": "write", "properties": {"why": "x"}}, OWN, None, True),
        (ANN, {"name": "write", "properties": {"why": "x"}}, OWN, {"shut": 1}, False),
        (ANN, {"name": "write", "properties": {"why": "y"}}, OWN, None, False),
        (READER, {"name": "write", "properties": {"why": "x"}}, OWN, None, False),
        (ANN, LIST, OWN, None, True),
        (ANN, LIST, OWN, {"shut": 1}, False),
        (ANN, {**LIST, "properties": {"why": "x"}}, OWN, None, False),
        ({**ANN, "properties": {"age": 7}}, LIST, OWN, None, False),
        ({"type": "key", "id": "1"}, READ, {"type": "keyed", "id": "1"}, None, True),
        *(
            ({"type": "key", "id": i}, READ, {"type": "keyed", "id": "1"}, None, False)
            for i in ("2", "3", "4", "01", "x")
        ),
        ({"type": "user", "id": ""}, READ, FREE, None, False),
        ({"type": "robot", "id": "r"}, READ, FREE, None, True),
        (ANN, READ, {"type": "free", "id": "a b"}, None, False),
    ],
)
async def test_a_question_has_the_same_answer_alone_and_in_a_batch(
    point: DecisionPoint, *, subject: Json, action: Json, resource: Json, context: Json | None, decision: bool
) -> None:
    question = {
        "subject": subject,
        "action": action,
        "resource": resource,
        **({} if context is None else {"context": context}),
    }
    await point.logged()  # those of other tests
    for _ in range(2):  # the second answer may come from what is remembered
        assert await point(EVALUATION, **question) == (200, {"decision": decision})
        assert await point.decisions(question, {}, **question) == [decision, decision]
        assert await point(EVALUATIONS, **question) == (200, {"decision": decision})
        assert await point(EVALUATIONS, evaluations=[], **question) == (200, {"decision": decision})
    records = await point.logged()
    assert len(records) == 10
    assert len(set(records)) == 1, "also of an answer from a cache"
    assert {(record.door, record.action, record.allowed) for record in records} == {
        ("authzen", action["name"], decision)
    }


async def test_a_question_is_answered_by_the_active_policy_however_often_it_was_asked(point: DecisionPoint) -> None:
    question = {"subject": ANN, "action": GET, "resource": {"type": "route", "id": "/y"}}
    first = point.live.active
    for _ in range(3):
        assert await point(EVALUATION, **question) == (200, {"decision": True})
    point.live.suspend()
    try:
        assert (await point(EVALUATION, **question))[0] == 503
    finally:
        point.live.resume()
    point.live.active = snapshot("p, a:read, /y, GET, allow")
    try:
        for _ in range(3):
            assert await point(EVALUATION, **question) == (200, {"decision": False})
    finally:
        point.live.active = first
    assert await point(EVALUATION, **question) == (200, {"decision": True})
    assert await point(EVALUATION, **question, options={"explain": True}) != (200, {"decision": True})


async def test_an_explained_answer_states_its_reason_rule_and_missing_grants(point: DecisionPoint) -> None:
    await point.logged()  # those of other tests
    revision = point.live.active.revision
    first_row = {"file": "rows.csv", "line": 1, "column": 1}
    allowed = {"reason": "a rule allows it", "rule": first_row, "missing": [], "revision": revision}
    denied = {"reason": NOT_HELD, "rule": None, "missing": ["a:read"], "revision": revision}
    nothing: Json = {"reason": "no resource has such an id", "rule": None, "missing": [], "revision": revision}
    question = {"action": GET, "resource": X, "options": {"explain": True}}
    assert await point(EVALUATION, subject=READER, **question) == (200, {"decision": True, "context": allowed})
    assert await point(EVALUATION, subject=ANN, **question) == (200, {"decision": False, "context": denied})
    strange = {"action": READ, "resource": {"type": "free", "id": "a b"}}
    _, found = await point(
        EVALUATIONS, evaluations=[{"subject": READER}, {}, strange, {"action": 1}], subject=ANN, **question
    )
    bad = {"reason": "`action` must be an object, not a whole number."}
    assert found == {
        "evaluations": [
            {"decision": True, "context": allowed}, {"decision": False, "context": denied},
            {"decision": False, "context": nothing}, {"decision": False, "context": bad},
        ]
    }  # fmt: skip
    first, second, third, fourth, fifth = await point.logged()
    assert [each.resource for each in (first, second, third, fourth, fifth)] == ["/x/{id}"] * 4 + [""]
    assert [each.subject for each in (first, second, third, fourth, fifth)] == ["bob", "ann", "bob", "ann", "ann"]
    assert (fifth.reason, fifth.revision, fifth.allowed) == ("no resource has such an id", revision, False)


@pytest.mark.parametrize(
    ("semantic", "count"), [(None, 4), ("execute_all", 4), ("deny_on_first_deny", 2), ("permit_on_first_permit", 1)]
)
async def test_a_batch_ends_at_the_decision_that_its_semantic_names(
    point: DecisionPoint, semantic: str | None, count: int
) -> None:
    options = {"options": {"evaluations_semantic": semantic}} if semantic else {}
    items = [{"resource": resource} for resource in (FREE, SHUT, FREE, SHUT)]
    assert await point.decisions(*items, subject=ANN, action=READ, **options) == [True, False, True, False][:count]
    reversed_items = [{"resource": resource} for resource in (SHUT, FREE, SHUT, FREE)]
    expected = {"deny_on_first_deny": 1, "permit_on_first_permit": 2}.get(semantic or "", 4)
    assert (
        await point.decisions(*reversed_items, subject=ANN, action=READ, **options)
        == [False, True, False, True][:expected]
    )
    refused = await point(
        EVALUATIONS, subject=ANN, action=READ, evaluations=items, options={"evaluations_semantic": "x"}
    )
    assert refused == (
        400,
        "`options.evaluations_semantic` must be one of execute_all, deny_on_first_deny, permit_on_first_permit.",
    )


async def test_a_batch_has_at_most_a_thousand_items(point: DecisionPoint) -> None:
    question = {"subject": ANN, "action": READ, "resource": FREE}
    assert await point.decisions(*[{}] * 1000, **question) == [True] * 1000
    refused = await point(EVALUATIONS, evaluations=[{}] * 1001, **question)
    assert refused == (400, "`evaluations` must have at most 1000 items.")


@pytest.mark.parametrize(
    ("default", "own", "entity"),
    [
        (None, OWN, OWN),
        (OWN, None, OWN),
        (None, None, None),
        (FREE, OWN, OWN),
        ({**FREE, "properties": {"color": "blue"}}, OWN, OWN),  # an item's entity replaces that of the defaults
        (FREE, {"id": "own"}, None),
        (FREE, {"type": "doc"}, None),
        ({"type": "doc"}, {"id": "own"}, OWN),
        ({"id": "own"}, {"type": "doc"}, OWN),
        ({"type": "free"}, OWN, OWN),
        ({"type": "doc", "properties": {"color": "blue"}}, {"id": "own"}, OWN),  # never the attributes of a default
        ({"type": "doc"}, {"type": "free"}, None),
    ],
)
async def test_an_item_takes_what_it_leaves_out_from_the_defaults(
    point: DecisionPoint, default: Json | None, own: Json | None, entity: Json | None
) -> None:
    defaults = {"subject": ANN, "action": READ, "context": {"open": True}}
    if default is not None:
        defaults["resource"] = default
    status, found = await point(EVALUATIONS, evaluations=[{} if own is None else {"resource": own}], **defaults)
    assert status == 200
    (answer,) = found["evaluations"]
    if entity is None:
        (only,) = answer["context"].items()
        assert (answer["decision"], only[0]) == (False, "reason")
        assert only[1] in {"`resource` is missing.", "`resource.id` is missing.", "`resource.type` is missing."}
    else:
        assert answer == {"decision": True}


@pytest.mark.parametrize("field", ["subject", "action", "resource"])
async def test_a_missing_field_is_named(point: DecisionPoint, field: str) -> None:
    question = {"subject": READER, "action": GET, "resource": X}
    del question[field]
    assert await point(EVALUATION, **question) == (400, f"`{field}` is missing.")
    assert await point(EVALUATIONS, **question) == (400, f"`{field}` is missing.")
    assert await point.decisions({}, **question) == [False]
    for name, path in SEARCHES.items():
        expected = 200 if (name, field) == ("action", "action") else 400
        assert (await point(path, **question))[0] == expected
        if expected == 400:
            assert (await point(path, **question))[1] == f"`{field}` is missing."


@pytest.mark.parametrize(
    ("name", "question", "results"),
    [
        ("resource", {"subject": ANN, "action": READ, "resource": {"type": "doc"}, "context": {"open": True}}, ["own"]),
        ("resource", {"subject": ANN, "action": READ, "resource": {"type": "doc"}}, []),
        ("resource", {"subject": READER, "action": GET, "resource": {"type": "route"}}, ["/x", "/x/{id}", "/y"]),
        ("resource", {"subject": {"type": "user", "id": ""}, "action": GET, "resource": {"type": "route"}}, []),
        ("action", {"subject": ANN, "resource": OWN, "context": {"open": True}}, ["list", "read", "sign"]),
        ("action", {"subject": READER, "resource": OWN, "context": {"open": True}}, ["list", "read"]),
        ("action", {"subject": ANN, "resource": OWN}, ["list", "sign"]),
        ("action", {"subject": ANN, "resource": OWN, "context": {"shut": 1}}, ["sign"]),
        ("resource", {"subject": ANN, "action": LIST, "resource": {"type": "doc"}}, ["other", "own"]),
        ("resource", {"subject": ANN, "action": LIST, "resource": {"type": "doc"}, "context": {"shut": 1}}, []),
        ("subject", {"subject": {"type": "user"}, "action": LIST, "resource": OWN}, ["ann", "owner"]),
        ("subject", {"subject": {"type": "user"}, "action": LIST, "resource": OWN, "context": {"shut": 1}}, []),
        ("action", {"subject": {"type": "key", "id": "2"}, "resource": FREE}, []),
        ("subject", {"subject": {"type": "user"}, "action": {"name": "sign"}, "resource": OWN}, ["ann"]),
        ("subject", {"subject": {"type": "key"}, "action": READ, "resource": {"type": "keyed", "id": "1"}}, ["1"]),
        ("subject", {"subject": {"type": "user"}, "action": READ, "resource": SHUT}, []),
        ("subject", {"subject": {"type": "user"}, "action": READ, "resource": FREE}, ["ann", "owner"]),
        ("subject", {"subject": {"type": "identity"}, "action": READ, "resource": FREE}, ["ann", "owner"]),
        ("subject", {"subject": {"type": "robot"}, "action": READ, "resource": FREE}, []),  # no person is one
    ],
)
async def test_a_search_finds_what_an_evaluation_allows(
    point: DecisionPoint, name: str, question: Json, results: list[str]
) -> None:
    kind = question.get(name, {}).get("type")
    found = [{"name": each} if name == "action" else {"type": kind, "id": each} for each in results]
    assert await point(SEARCHES[name], **question) == (200, {"results": found})
    assert await point(SEARCHES[name], page={}, **question) == (200, {"results": found, "page": {"next_token": ""}})
    token, pages = "", []
    for _ in range(len(results) + 1):
        status, page = await point(SEARCHES[name], page={"limit": 1, "token": token}, **question)
        assert status == 200
        pages += page["results"]
        if not (token := page["page"]["next_token"]):
            break
    assert pages == found


async def test_a_first_page_has_a_token_when_there_is_more(
    point: DecisionPoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.http.api.authzen.page.DEFAULT_LIMIT", 1)
    question = {"subject": READER, "action": GET, "resource": {"type": "route"}}
    _, found = await point(SEARCHES["resource"], **question)
    assert found["results"] == [{"type": "route", "id": "/x"}]
    assert found["page"]["next_token"]


async def test_a_search_has_at_most_a_hundred_values_of_what_it_looks_for(point: DecisionPoint) -> None:
    many, few = ({f"p{number}": number for number in range(count)} for count in (101, 100))
    for properties, status in ((few, 200), (many, 400)):
        for name, sought in (("subject", {"type": "user"}), ("resource", {"type": "free"})):
            question = {"subject": ANN, "action": READ, "resource": FREE, name: {**sought, "properties": properties}}
            assert (await point(SEARCHES[name], **question))[0] == status
            other = {"subject": "resource", "resource": "subject"}[name]
            assert (await point(SEARCHES[other], **{**question, name: {**question[name], "id": "1"}}))[0] == 200
        whole = {"subject": {**ANN, "properties": properties}, "resource": FREE}
        assert (await point(SEARCHES["action"], **whole))[0] == 200


async def test_the_answer_is_503_while_keys_cannot_be_looked_up(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'none.db'}")
    point = DecisionPoint(LivePolicy(tmp_path, TABLE, files(*ROWS, entities=ENTITIES)), sessions_of(engine))
    key = {"subject": {"type": "key", "id": "1"}, "action": READ, "resource": FREE}
    for path in (EVALUATION, *SEARCHES.values()):
        status, detail = await point(path, **key)
        assert (status, detail) == (503, "API keys cannot be looked up now.")
    assert (await point(EVALUATION, **{**key, "subject": ANN})) == (200, {"decision": True})
    await engine.dispose()


async def test_a_request_without_room_in_the_log_is_refused_and_loses_nothing(
    point: DecisionPoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.audit.admission.ROOM_SECONDS", 0.01)
    await point.logged()
    question = {"subject": READER, "action": GET, "resource": X}
    full = (503, "The decision log is full.")
    for _ in range(9):
        assert (await point(EVALUATIONS, evaluations=[{}] * 1_000, **question))[0] == 200
    assert (await point(EVALUATIONS, evaluations=[{}] * 999, **question))[0] == 200
    assert await point(EVALUATIONS, evaluations=[{}] * 2, **question) == full
    assert await point(EVALUATION, **question) == (200, {"decision": True})
    assert await point(EVALUATION, **question) == full
    assert await point(EVALUATION, options={"explain": True}, **question) == full
    assert await point(EVALUATIONS, **question) == full
    assert len(await point.logged()) == 10_000
    assert await point(EVALUATION, **question) == (200, {"decision": True})
    assert len(await point.logged()) == 1


QUESTION: Json = {"subject": READER, "action": GET, "resource": X}
SHORT = 8_192  # bytes


@pytest.mark.parametrize(
    ("path", "question", "size", "waits"),
    [
        *((path, QUESTION, size, size > SHORT) for path in (EVALUATION, EVALUATIONS) for size in (SHORT, SHORT + 1)),
        (EVALUATIONS, {**QUESTION, "evaluations": []}, SHORT, False),
        (EVALUATIONS, {**QUESTION, "evaluations": [{}]}, 1_000, True),
        *((path, QUESTION, 1_000, True) for path in SEARCHES.values()),
    ],
)
async def test_batches_searches_and_long_bodies_wait_for_a_turn(
    point: DecisionPoint, path: str, question: Json, size: int, *, waits: bool
) -> None:
    length = size - len(msgspec.json.encode({**question, "unknown": ""}))
    async with point.long_work():
        answer = asyncio.create_task(point(path, **question, unknown="x" * length))
        await asyncio.wait([answer], timeout=0.1 if waits else 10)
        assert answer.done() is not waits
    assert (await answer)[0] == 200
