"""What items of a batch share: the values of the defaults, which are read once, and never those of another item."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.db.engine import open_engine
from app.db.session import sessions_of
from app.policy.engine.live import LivePolicy
from app.policy.language.when.program import new_context
from app.policy.routing.routes import RouteTable
from tests.http.api.decision_point import SEARCHES, DecisionPoint
from tests.policy.small import files

pytestmark = pytest.mark.anyio

ROWS = (
    "p, anyone, doc, read, allow, \"context.open == true && resource.properties.color == 'red'\"",
    "p, anyone, doc, sign, allow, \"subject.id == 'ann' && resource.properties.color == 'red'\"",
    "p, anyone, doc, move, allow, \"subject.id == 'ann' && context.open && resource.properties.color == 'red'\"",
    "p, anyone, doc, tell, allow, \"subject.id == 'ann' && action.name == 'tell' && context.open && "
    "resource.properties.color == 'red'\"",
)
ENTITIES = (
    "subjects: [{type: robot, id: ann}, {type: robot, id: bob}]\nresources: ["
    + ", ".join(f"{{type: doc, id: '{n}', properties: {{color: red}}}}" for n in range(5))
    + "]"
)
ANN, BOB = ({"type": "user", "id": name} for name in ("ann", "bob"))
DOC = {"type": "doc", "id": "0"}
OPEN, SHUT = {"context": {"open": True}}, {"context": {"open": False}}


@pytest.fixture
async def point(tmp_path: Path) -> AsyncIterator[DecisionPoint]:
    """A decision point without a database."""
    engine = open_engine(f"sqlite:///{tmp_path / 'none.db'}")
    yield DecisionPoint(LivePolicy(tmp_path, RouteTable(()), files(*ROWS, entities=ENTITIES)), sessions_of(engine))
    await engine.dispose()


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """The values that were converted for several decisions."""
    found: list[dict[str, object]] = []

    def convert(values: dict[str, object]) -> Any:
        found.append(dict(values))
        return new_context(values)

    monkeypatch.setattr("app.policy.language.when.shared.new_context", convert)
    return found


def docs(*numbers: int) -> list[dict[str, Any]]:
    """Items about these resources."""
    return [{"resource": {"type": "doc", "id": str(number)}} for number in numbers]


@pytest.mark.parametrize("action", ["read", "sign", "move"])
async def test_the_values_of_the_defaults_are_converted_once(
    point: DecisionPoint, conversions: list[dict[str, object]], action: str
) -> None:
    defaults = {"subject": ANN, "action": {"name": action}, "resource": DOC, **OPEN}
    assert await point.decisions({}, *docs(1, 2, 3, 9), {}, **defaults) == [True, True, True, True, False, True]
    assert len(conversions) == 1
    assert len(await point.logged()) == 6


@pytest.mark.parametrize(
    ("action", "items", "decisions"),
    [
        ("read", [{}, SHUT, {}, OPEN, {"subject": BOB}, {"subject": BOB, **SHUT}], [1, 0, 1, 1, 1, 0]),
        ("sign", [{}, SHUT, {"subject": BOB}, {}, {"subject": ANN}, {"subject": BOB, **SHUT}], [1, 1, 0, 1, 1, 0]),
        (
            "move",
            [{}, SHUT, {"subject": BOB}, {}, {"subject": ANN, **OPEN}, {"subject": ANN, **SHUT}],
            [1, 0, 0, 1, 1, 0],
        ),
        ("move", [SHUT, {}, {"subject": BOB}, {"subject": BOB, **OPEN}, {}, docs(9)[0], {}], [0, 1, 0, 0, 1, 0, 1]),
        ("move", [{"subject": BOB}, {"subject": ANN}, SHUT, {"subject": ANN}, {"subject": BOB}], [0, 1, 0, 1, 0]),
    ],
)
async def test_an_item_never_has_the_values_of_another(
    point: DecisionPoint, action: str, items: list[dict[str, Any]], decisions: list[int]
) -> None:
    defaults = {"subject": ANN, "action": {"name": action}, "resource": DOC, **OPEN}
    assert await point.decisions(*items, **defaults) == list(map(bool, decisions))
    alone = [(await point.decisions({}, **{**defaults, **item}))[0] for item in items]
    assert alone == list(map(bool, decisions))


@pytest.mark.parametrize(
    ("name", "question", "results"),
    [
        ("resource", {"subject": ANN, "resource": {"type": "doc"}}, ["0", "1", "2", "3", "4"]),
        ("subject", {"subject": {"type": "robot"}, "resource": DOC}, ["ann"]),
        ("action", {"subject": ANN, "resource": DOC}, ["move", "read", "sign", "tell"]),
    ],
)
async def test_a_search_reads_what_all_candidates_have_once(
    point: DecisionPoint, conversions: list[dict[str, object]], name: str, question: dict[str, Any], results: list[str]
) -> None:
    question = {**question, **({} if name == "action" else {"action": {"name": "tell"}})}
    status, found = await point(SEARCHES[name], **question, **OPEN)
    assert (status, [each.get("id") or each["name"] for each in found["results"]]) == (200, results)
    # The condition about `tell` reads subject, action, resource and context, of which one varies.
    assert sorted(map(len, conversions)) == ([2, 2, 3, 3] if name == "action" else [3])
    assert (await point(SEARCHES[name], **question, **SHUT))[1]["results"] == [{"name": "sign"}] * (name == "action")
