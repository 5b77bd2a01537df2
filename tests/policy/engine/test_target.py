"""Matching a concrete path to its template, as Litestar does, without repairs."""

from __future__ import annotations

from typing import Any

import pytest
from litestar import Litestar, Request, get
from litestar.testing import TestClient

from app.policy.engine.target import NoSuchTarget, find_target
from app.policy.language.endpoint import endpoint_fault
from app.policy.routing.routes import Route, RouteTable
from tests.policy.small import snapshot

TEMPLATES = (
    "/",
    "/teams",
    "/teams/{team_id}",
    "/teams/{team_id}/players",
    "/teams/new",
    "/games/today/{hour}/score",
    "/games/{game_id}",
    "/games/{game_id}/drives/{drive_id}",
)
PATHS = (
    *("/", "/teams", "/teams/", "/teams/7", "/teams/7/", "/teams/new", "/teams/new/players", "/teams/7/players"),
    *("/games", "/games/7", "/games/today", "/games/today/9/score", "/games/today/drives/2", "/games/7/drives/2"),
    *("/games/7/drives", "/nothing", "/teams/7/players/1", "/Teams", "/teams/%37"),
)


def _table(*templates: str) -> RouteTable:
    return RouteTable(Route(template, "GET") for template in templates)


def test_a_path_resolves_to_the_template_that_litestar_serves_it_with() -> None:
    def handler(template: str) -> Any:
        async def serve(request: Request[Any, Any, Any]) -> str:
            return str(request.scope["path_template"])

        return get(template.replace("}", ":str}"), name=template)(serve)

    app = Litestar([handler(template) for template in TEMPLATES], openapi_config=None, logging_config=None)
    table = _table(*TEMPLATES)
    with TestClient(app) as client:
        for path in PATHS:
            response = client.get(path)
            served = response.text if response.status_code == 200 else None
            assert table.resolve(path) == served, path


@pytest.mark.parametrize(
    "path",
    [
        *("", "teams", "//", "///", "//teams", "/teams//7", "/teams/7//", "/teams/.", "/teams/..", "/teams/../teams"),
        *(
            "/teams/7;a",
            "/teams/7?x",
            "/teams/7#x",
            "/teams/7\n",
            "/teams/ü",
            "/teams/{team_id}",
            "/teams/7\\8",
            "/a b",
        ),
    ],
)
def test_an_ambiguous_path_has_no_template(path: str) -> None:
    assert _table(*TEMPLATES).resolve(path) is None


@pytest.mark.parametrize("service", ["", "orders"])
@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/files/a%40b", "/files/{name}"),
        ("/files/caf%C3%A9", "/files/{name}"),
        ("/files/%7Bname%7D", "/files/{name}"),
        ("/files/export:all", "/files/export:all"),
        ("/files/export%3Aall", None),
        ("/files/export%3aall", None),
        ("/file%73", None),
        ("/th%C3%A9", "/th%C3%A9"),
        ("/th%c3%a9", "/th%C3%A9"),
        ("/th%c3%a9/7", "/th%C3%A9/{id}"),
        ("/files%2Fexport:all", None),
        ("/shelf%2Ffiles", None),
    ],
)
def test_an_encoded_path_has_a_template_if_both_readings_agree(service: str, path: str, template: str | None) -> None:
    """A program serves the path with the same endpoint whether it decodes before matching or not."""
    before = f"{service}:" if service else ""
    templates = (
        "/files",
        "/files/{name}",
        "/files/export:all",
        "/th%C3%A9",
        "/th%C3%A9/{id}",
        "/shelf/files",
        "/{kind}",
    )
    table = _table(*(before + one for one in templates))
    assert table.resolve(path, service) == (template and before + template)


def test_a_path_of_two_templates_has_no_template() -> None:
    assert _table("/a/b@c", "/a/b%40c").resolve("/a/b@c") is None


def test_a_mount_covers_everything_below_it_except_other_routes() -> None:
    table = _table("/files/**", "/files/index", "/other")
    assert table.resolve("/files") == "/files/**"
    assert table.resolve("/files/a/b") == "/files/**"
    assert table.resolve("/files/index") == "/files/index"
    assert table.resolve("/filesystem") is None


def test_a_path_whose_template_depends_on_the_method_has_no_template() -> None:
    assert _table("/a/{x}", "/a/{y}").resolve("/a/1") is None


def test_a_target_has_the_parameters_of_its_path() -> None:
    target = find_target(_table(*TEMPLATES), {}, "GET", "/games/7/drives/2/")
    assert target.resource == "/games/{game_id}/drives/{drive_id}"
    assert dict(target.params) == {"game_id": "7", "drive_id": "2"}


def test_a_template_is_its_own_target() -> None:
    target = find_target(_table(*TEMPLATES), {}, "GET", "/games/{game_id}")
    assert (target.resource, dict(target.params)) == ("/games/{game_id}", {})


def test_an_unserved_target_states_the_answer_for_callers() -> None:
    with pytest.raises(NoSuchTarget) as unknown:
        find_target(_table(*TEMPLATES), {}, "GET", "/tems")
    assert (unknown.value.status, unknown.value.hint) == (404, "did you mean `/teams`?")
    with pytest.raises(NoSuchTarget) as wrong_method:
        find_target(_table(*TEMPLATES), {}, "POST", "/teams/")
    assert (wrong_method.value.status, wrong_method.value.hint) == (405, "it has GET")


@pytest.mark.parametrize(
    ("action", "resource", "word"),
    [
        *(
            ("GET", path, path)
            for path in (
                "/teams?x=1",
                "/teams/%37",
                "/teams/%2F",
                "/teams/%3b",
                "/teams/..",
                "//teams",
                "te ams",
                "record:*",
            )
        ),
        *(("get", "/teams", "get"), ("FETCH", "/teams", "FETCH"), ("", "record:1", ""), ("re ad", "record", "re ad")),
    ],
)
def test_an_invalid_endpoint_is_refused_with_the_word_at_fault(action: str, resource: str, word: str) -> None:
    fault = endpoint_fault(action, resource)
    assert fault is not None
    assert fault[2] == word


def test_endpoints_are_paths_templates_and_resources() -> None:
    good = [
        ("GET", "/"),
        ("DELETE", "/teams/7/"),
        ("GET", "/teams/{team_id}"),
        ("GET", "o:/with%20space/%C3%BC"),
        ("read", "record:a@b.c"),
        ("read", "x"),
    ]
    assert not any(endpoint_fault(*endpoint) for endpoint in good)


@pytest.mark.parametrize(
    ("action", "resource", "key"),
    [
        ("read", "record:7", "record"),
        ("read", "record:one", "record:one"),
        ("write", "record:one", "record:one"),
        ("read", "record", "record"),
        ("list", "record:7", "record:7"),
        ("read", "folder:7", "folder:7"),
    ],
)
def test_a_thing_has_the_rules_that_name_it_or_those_of_its_type(action: str, resource: str, key: str) -> None:
    rows = (
        "p, a:read, record, read|write, allow",
        "p, a:read, record:two, list, allow",
        "p, b:read, record:one, read, deny",
    )
    policy = snapshot(*rows)
    found = find_target(policy.table, policy.index, action, resource)
    assert (found.action, found.resource, found.original, dict(found.params)) == (action, key, resource, {})


@pytest.mark.parametrize(
    ("action", "resource", "answer"),
    [
        ("GET", "/nowhere", "callers get 404"),
        ("POST", "/teams", "callers get 405"),
        ("GET", "orders:/nowhere", "gateways answer 403, or 401 to a caller without credentials"),
        ("GET", "nope:/v1", "gateways answer 403, or 401 to a caller without credentials"),
        ("POST", "orders:/v1", "gateways answer 403, or 401 to a caller without credentials"),
    ],
)
def test_the_answer_for_callers_is_that_of_their_door(action: str, resource: str, answer: str) -> None:
    with pytest.raises(NoSuchTarget) as refused:
        find_target(_table("/teams", "orders:/v1"), {}, action, resource)
    assert refused.value.answer == answer
