"""What the form of a consent may send."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from app.console.consent import ConsentAnswer


def answer(**given: Any) -> ConsentAnswer:
    return ConsentAnswer(**{"decision": ["allow"], **given})


def test_an_answer_and_what_the_page_showed() -> None:
    assert (answer().scopes, answer().version) == ([], "")
    longest = answer(decision=["deny"], scopes=["x" * 200] * 500, version="x" * 32)
    assert (longest.decision, len(longest.scopes), longest.version) == (["deny"], 500, "x" * 32)


@pytest.mark.parametrize(
    "given",
    [
        {"decision": []},
        {"decision": ["allow", "allow"]},
        {"decision": ["deny", "allow"]},
        {"decision": ["maybe"]},
        {"scopes": ["x" * 201]},
        {"scopes": ["x"] * 501},
        {"version": "x" * 33},
    ],
    ids=lambda given: str(given)[:40],
)
def test_another_answer_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        answer(**given)
