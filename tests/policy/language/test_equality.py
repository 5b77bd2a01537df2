"""`==` and `!=` in conditions are opposites for every text on each side."""

from __future__ import annotations

import pytest

from app.policy.language.when.shape import describe
from tests.policy.language.test_condition import condition, world

TEXTS = {path: field for path, field in describe() if str(field.kind) == "string"}
VALUES = {
    **{"subject.type": "user", "subject.id": "user_1", "subject.owner": "", "subject.method": "jwt"},
    **{
        "subject.environment": "",
        "subject.client_id": "",
        "resource.type": "route",
        "resource.id": "/api/v1/teams/{team_id}",
    },
    **{"subject.org.id": "org_1", "subject.org.role": "admin", "subject.org.slug": "acme"},
    **{"action.name": "GET", "request.method": "GET", "request.path": "/api/v1/teams/7", "request.ip": "10.1.2.3"},
}
LOOSE = {"params.team_id": "7", "resource.properties.owner": "user_1", "context.device": "phone"}


def test_every_text_is_compared() -> None:
    assert TEXTS.keys() == VALUES.keys()


@pytest.mark.parametrize("path", [*VALUES, *LOOSE])
def test_equal_and_unequal_are_opposites(path: str) -> None:
    value = {**VALUES, **LOOSE}[path]
    for literal, equal in ((value, True), (f"{value}x", False), (value.upper() + "/", False)):
        for left, right in ((path, f"'{literal}'"), (f"'{literal}'", path), (path, f"('{literal}' + '')")):
            assert condition(f"{left} == {right}").met(world()) is equal
            assert condition(f"{left} != {right}").met(world()) is not equal
            assert condition(f"!({left} != {right})").met(world()) is equal
            assert condition(f"{left} != {right} || false").met(world()) is not equal
            assert condition(f"{left} != {right} ? true : false").met(world()) is not equal
