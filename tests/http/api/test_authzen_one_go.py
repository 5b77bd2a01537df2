"""What a process decodes or examines in one go is bounded: the grants of a subject, and the values of a text."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from app.db.engine import open_engine
from app.db.session import sessions_of
from app.http.api.authzen.wire import AccessQuestion, Evaluations, SubjectSearch, decode, decode_evaluations
from app.http.wire.problems import Problem
from app.policy.engine.live import LivePolicy
from tests.http.api.decision_point import EVALUATION, EVALUATIONS, DecisionPoint, Json
from tests.policy.small import TABLE, files
from tests.support.server import prepared_database

pytestmark = pytest.mark.anyio

MOST_GRANTS, MOST_VALUES = 5_000, 50_000
TOO_MANY_GRANTS = "The subject states 5001 grants; at most 5000 are allowed."
TOO_MANY_VALUES = "has too many commas and brackets, and so too many values: over 50000."
READ: Json = {"name": "read"}
DOC: Json = {"type": "doc", "id": "1"}
READER: Json = {"type": "user", "id": "ann", "properties": {"permissions": ["a:read"]}}
ROWS = (
    "p, a:read, /x/**, GET, allow",
    "p, a:write, /x, POST, allow",
    "p, anyone, /y, GET, allow",
    "p, a:read, doc, read, allow",
)
_QUESTION, _BATCH = msgspec.json.Decoder(AccessQuestion), msgspec.json.Decoder(Evaluations)


@pytest.fixture(scope="module")
async def point(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DecisionPoint]:
    directory = tmp_path_factory.mktemp("point")
    shutil.copy(prepared_database(), directory / "authz.db")
    engine = open_engine(f"sqlite:///{directory / 'authz.db'}")
    yield DecisionPoint(LivePolicy(directory, TABLE, files(*ROWS)), sessions_of(engine))
    await engine.dispose()


def _subject(count: int, form: str) -> Json:
    grants = ["a:read", *(f"b:{number}" for number in range(1, count))]
    stated: dict[str, object] = {
        "list": {"permissions": grants},
        "text": {"permissions": " ".join(grants)},
        "spaces": {"permissions": f"a:read{' ' * (count - 1)}"},
        "both": {"permissions": grants[:10], "scope": " ".join(grants[10:])},
    }
    return {"type": "user", "id": "ann", "properties": stated[form]}


@pytest.mark.parametrize("form", ["list", "text", "spaces", "both"])
async def test_a_subject_states_at_most_5000_grants(point: DecisionPoint, form: str) -> None:
    most, more = _subject(MOST_GRANTS, form), _subject(MOST_GRANTS + 1, form)
    question = {"action": READ, "resource": DOC}
    assert await point(EVALUATION, subject=most, **question) == (200, {"decision": True})
    assert await point(EVALUATION, subject=more, **question) == (400, TOO_MANY_GRANTS)
    assert await point(EVALUATIONS, subject=more, **question) == (400, TOO_MANY_GRANTS)
    assert await point.decisions({}, {}, subject=most, **question) == [True, True]
    assert await point(EVALUATIONS, subject=more, evaluations=[{}], **question) == (400, TOO_MANY_GRANTS)


async def test_an_item_whose_subject_states_more_is_a_denial(point: DecisionPoint) -> None:
    items = [{"subject": _subject(count, "list")} for count in (MOST_GRANTS, MOST_GRANTS + 1)]
    refused = {"decision": False, "context": {"reason": TOO_MANY_GRANTS}}
    assert await point(EVALUATIONS, subject=READER, action=READ, resource=DOC, evaluations=[*items, {}]) == (
        200,
        {"evaluations": [{"decision": True}, refused, {"decision": True}]},
    )


@pytest.mark.parametrize("value", [b"0", b"[]", b"{}", b'""', b'{"a":0}'], ids=repr)
def test_a_text_with_more_than_50000_values_is_not_decoded(value: bytes) -> None:
    brackets = value[:1] in b"[{"
    most = (MOST_VALUES - 3) // (1 + brackets)

    def text(count: int) -> bytes:
        return b'{"context":{"a":[' + b",".join([value] * count) + b"]}}"

    found = decode(text(most).ljust(MOST_VALUES + 1), _QUESTION)
    assert isinstance(found.context, dict)
    assert len(found.context["a"]) == most
    decoders: list[msgspec.json.Decoder[Any]] = [_QUESTION, msgspec.json.Decoder(SubjectSearch)]
    for decoder in decoders:
        with pytest.raises(Problem) as refused:
            decode(text(most + 1).ljust(MOST_VALUES + 1), decoder)
        assert (refused.value.status, refused.value.detail) == (400, f"The request body {TOO_MANY_VALUES}")


def test_the_items_of_a_batch_count_each_for_itself() -> None:
    item = b'{"context":{"a":[' + b",".join([b"0"] * 2_000) + b"]}}"
    many = b",".join([item] * 100)
    _, items = decode_evaluations(b'{"context":{"a":[1,2]},"evaluations":[' + many + b"]}", _BATCH)
    assert [bytes(each) for each in items] == [item] * 100
    with pytest.raises(Problem, match=r"^The request body has too many"):
        decode_evaluations(b'{"context":{"a":[' + many + b']},"evaluations":[' + many + b"]}", _BATCH)
    with pytest.raises(Problem, match=r"^The request body has too many"):
        decode_evaluations(b'{"evaluations":[' + many + b'],"evaluations":[0]}', _BATCH)


async def test_an_item_with_more_values_is_a_denial(point: DecisionPoint) -> None:
    items: list[Json] = [{"context": {"a": [[]] * count}} for count in (MOST_VALUES, 1)]
    refused = {"decision": False, "context": {"reason": f"The item {TOO_MANY_VALUES}"}}
    assert await point(EVALUATIONS, subject=READER, action=READ, resource=DOC, evaluations=items) == (
        200,
        {"evaluations": [refused, {"decision": True}]},
    )
