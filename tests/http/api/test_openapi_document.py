"""The OpenAPI document: names, responses, requirements and examples of all operations, and that they are true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from litestar import Litestar, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.params import FromPath, FromQuery

from app.http.api.openapi.document import ApiInfo, base_document
from app.http.api.openapi.names import operation_namer
from app.http.api.openapi.page import render
from app.http.api.openapi.requirements import with_requirements
from app.http.api.openapi.shared_responses import SHARED
from app.http.wire.handlers import get_or_head
from app.http.wire.problems import detail_spec
from tests.policy.small import snapshot
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

# A verb, and its object.
OPERATION_ID = re.compile(r"[a-z]+(_[a-z]+)+")
VERBS = {
    *("list", "create", "retrieve", "replace", "change", "delete"),
    *("issue", "revoke", "rotate", "register", "enable", "disable", "end", "block", "unblock", "push", "introspect"),
    *("reload", "publish", "roll", "deploy", "withdraw", "replay", "explain", "export"),
    *("evaluate", "search", "check"),
}
# Sent before any handler is called, or instead of its response.
ALWAYS = {"400", "401", "408", "414", "429", "431", "500", "503"}


@pytest.fixture(scope="module")
def document(server: Server) -> dict[str, Any]:
    answer = httpx.get(f"{server.url}/openapi.json", timeout=60)
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The operations of a document, with their methods and paths."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def resolved(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """A part of the document, or the component to which it refers."""
    while "$ref" in part:
        _, *names = part["$ref"].split("/")
        part = document
        for name in names:
            part = part[name]
    return part


def references(part: object) -> Iterator[str]:
    """All references in a part of a document."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_each_operation_is_named_by_a_verb_and_its_object(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names)) > 90
    assert not [name for name in names if not OPERATION_ID.fullmatch(name) or name.split("_")[0] not in VERBS]


def test_each_operation_is_described_and_has_one_tag_that_is_described_too(document: dict[str, Any]) -> None:
    described = {tag["name"] for tag in document["tags"] if tag["description"]}
    for method, path, operation in operations(document):
        assert operation["summary"] and operation["description"], (method, path)
        assert len(operation["tags"]) == 1 and set(operation["tags"]) <= described, (method, path)
    assert described == {tag for _, _, operation in operations(document) for tag in operation["tags"]}


def test_all_references_lead_somewhere_and_all_components_are_used(document: dict[str, Any]) -> None:
    used = set(references(document))
    kinds = ("schemas", "responses", "headers")
    known = {f"#/components/{kind}/{name}" for kind in kinds for name in document["components"][kind]}
    assert used == known


def test_a_get_is_not_repeated_as_head(document: dict[str, Any]) -> None:
    assert not [path for method, path, _ in operations(document) if method == "HEAD"]


def test_each_operation_has_the_responses_that_come_without_its_handler(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        statuses = set(operation["responses"])
        has_body = "requestBody" in operation
        kinds = set(operation.get("requestBody", {}).get("content", {}))
        assert statuses >= ALWAYS, (method, path)
        assert ("413" in statuses) is has_body, (method, path)
        reads_json = kinds == {"application/json"} and not path.startswith(("/access/", "/oauth/"))
        assert ("415" in statuses) is (reads_json or path == "/oauth/introspect"), (method, path)
        assert ("403" in statuses) is (operation["security"] != [{}]), (method, path)


def test_each_response_has_its_headers(document: dict[str, Any]) -> None:
    wanted = {"401": "WWW-Authenticate", "403": "WWW-Authenticate", "429": "Retry-After", "503": "Retry-After"}
    for method, path, operation in operations(document):
        for status, response in operation["responses"].items():
            headers = resolved(document, response)["headers"]
            assert "X-Request-ID" in headers, (method, path, status)
            assert status not in wanted or wanted[status] in headers, (method, path, status)


def test_an_error_of_the_door_has_the_single_key_detail(document: dict[str, Any]) -> None:
    detail = document["components"]["schemas"]["Detail"]
    assert (detail["required"], list(detail["properties"]), detail["additionalProperties"]) == (
        ["detail"],
        ["detail"],
        False,
    )
    for status, shared in SHARED.items():
        response = document["components"]["responses"][shared.name]
        (media,) = response["content"].values()
        assert media["schema"] == {"$ref": f"#/components/schemas/{'InvalidBody' if status == '400' else 'Detail'}"}
        assert all(next(iter(example["value"])) == "detail" for example in media["examples"].values())


def test_litestars_own_error_is_nowhere(document: dict[str, Any]) -> None:
    assert "status_code" not in str(document)


def media_types(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every media type of a body or a response, with the place where it is."""
    for method, path, operation in operations(document):
        bodies = {"body": operation.get("requestBody", {}), **operation["responses"]}
        for name, body in bodies.items():
            for kind, media in body.get("content", {}).items():
                yield f"{method} {path} {name} {kind}", media
    for name, response in document["components"]["responses"].items():
        for kind, media in response["content"].items():
            yield f"{name} {kind}", media


def test_each_body_and_parameter_has_an_example_of_its_schema(document: dict[str, Any]) -> None:
    def check(place: str, schema: dict[str, Any], example: Any) -> None:
        complete = {**schema, "components": {"schemas": document["components"]["schemas"]}}
        errors = [error.message for error in Draft202012Validator(complete).iter_errors(example)]
        assert not errors, (place, errors)

    for place, media in media_types(document):
        examples = [each["value"] for each in media.get("examples", {}).values()] or [media["example"]]
        for example in examples:
            check(place, media["schema"], example)
    for method, path, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], (method, path, parameter["name"])
            check(f"{method} {path} {parameter['name']}", parameter["schema"], parameter["example"])


def strings(part: object) -> Iterator[str]:
    """All texts in an example."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, dict | list):
        for value in part.values() if isinstance(part, dict) else part:
            yield from strings(value)


def test_no_example_is_a_placeholder(document: dict[str, Any]) -> None:
    found = {
        place: text
        for place, media in media_types(document)
        for example in [each["value"] for each in media.get("examples", {}).values()] or [media["example"]]
        for text in strings(example)
        if text in ("text", "string", "name", "value", "example") and not (text == "name" and "errors" in str(example))
    }
    assert found == {}


def same_form(example: Any, answer: Any) -> bool:
    """Whether an answer is that of an example, apart from numbers, times, ids and revisions."""
    if isinstance(example, dict) and isinstance(answer, dict):
        return example.keys() == answer.keys() and all(
            same_form(value, answer[name]) for name, value in example.items()
        )
    if isinstance(example, list) and isinstance(answer, list):
        return len(example) == len(answer) and all(map(same_form, example, answer))
    if isinstance(example, int | float) and not isinstance(example, bool):
        return isinstance(answer, int | float)
    return type(example) is type(answer) and (example == answer or bool(re.fullmatch(r"[0-9a-f]{16}|key:\d+", answer)))


ANSWERED = (
    *("evaluate_access", "evaluate_access_batch", "search_actions", "explain_decision", "check_readiness"),
    "introspect_token",
)


@pytest.mark.parametrize("name", ANSWERED)
def test_an_example_is_what_the_server_answers(
    server: Server, issuer: LiveIssuer, document: dict[str, Any], name: str
) -> None:
    ((method, path, operation),) = [each for each in operations(document) if each[2]["operationId"] == name]
    bodies: list[dict[str, Any]] = list(operation.get("requestBody", {}).get("content", {}).values())
    body = bodies[0]["example"] if bodies else None
    permissions = ["decisions:evaluate", "tokens:introspect", "policies:read", "decisions:read"]
    with server.client(issuer.token(sub="user_2abc", permissions=permissions)) as client:
        if name == "introspect_token":
            key = client.post("/api/v1/api-keys/", json={"name": "nightly import", "scopes": ["decisions:read"]})
            answer = client.post(path, data={"token": key.json()["plaintext"]})
        else:
            answer = client.request(method, path, json=body) if body else client.request(method, path)
    (media,) = operation["responses"]["200"]["content"].values()
    assert answer.status_code == 200
    assert same_form(media["example"], answer.json()), (media["example"], answer.json())


def test_the_examples_of_resources_are_rows_of_the_sample_data(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    (team,), (game,) = schemas["Team"]["examples"], schemas["Game"]["examples"]
    assert (team["id"], team["nickname"]) == (1, "Cardinals")
    assert (game["title"], game["home_team_id"] == game["away_team_id"]) == ("Super Bowl LVII", False)
    assert schemas["TeamBody"]["examples"] == [{name: team[name] for name in schemas["TeamBody"]["properties"]}]


def test_a_mapping_of_files_is_described_as_one_with_its_bounds(document: dict[str, Any]) -> None:
    files = document["components"]["schemas"]["Publish"]["properties"]["files"]
    assert files == {
        "additionalProperties": {"type": "string"},
        "maxProperties": 500,
        "minProperties": 1,
        "type": "object",
    }


def test_requirements_are_those_of_the_policy(document: dict[str, Any]) -> None:
    paths = document["paths"]
    assert paths["/api/v1/teams"]["get"]["security"] == [{"jwt": []}, {"api_key": []}]
    assert paths["/api/v1/teams"]["get"]["x-needs"] == [["catalog:read"]]
    assert paths["/api/v1/teams"]["post"]["x-needs"] == [["catalog:write"]]
    assert paths["/api/v1/api-keys"]["post"]["security"] == [{"jwt": []}]
    assert paths["/healthz"]["get"]["security"] == [{}]
    assert paths["/healthz"]["get"]["description"].endswith("Open to everyone.")


@pytest.mark.parametrize("path", ["/api/v1/teams/", "/api/v1/oauth/apps/7", "/api/v1/policies/shadow", "/oauth/token"])
def test_options_and_a_wrong_method_name_all_methods_of_a_path(
    server: Server, document: dict[str, Any], path: str
) -> None:
    template = path.rstrip("/").replace("/7", "/{app_id}")
    methods = {method.upper() for method in document["paths"][template]} | {"OPTIONS"}
    methods |= {"HEAD"} if "GET" in methods else set()
    options = httpx.options(server.url + path)
    assert (options.status_code, options.text) == (204, "")
    assert options.headers["allow"] == ", ".join(sorted(methods))
    wrong = httpx.request("TRACE", server.url + path)
    assert wrong.status_code == 405
    assert set(wrong.headers["allow"].split(", ")) == methods


def test_without_an_authorization_server_its_operations_are_not_found(server: Server, document: dict[str, Any]) -> None:
    for path in ("/oauth/par", "/oauth/token", "/oauth/revoke", "/oauth/register"):
        answer = httpx.post(server.url + path)
        documented = document["paths"][path]["post"]["responses"]
        assert (answer.status_code, list(answer.json()), "404" in documented) == (404, ["detail"], True)


def test_a_page_of_the_console_names_its_methods_too(server: Server) -> None:
    wrong = httpx.put(f"{server.url}/console/keys")
    assert (wrong.status_code, set(wrong.headers["allow"].split(", "))) == (405, {"GET", "HEAD", "OPTIONS"})


def test_each_operation_with_a_json_body_refuses_another_content_type(
    server: Server, issuer: LiveIssuer, document: dict[str, Any]
) -> None:
    everything = {grant for _, _, each in operations(document) for needs in each["x-needs"] for grant in needs}
    with server.client(issuer.token(permissions=sorted(everything), org_id="1")) as client:
        tried = 0
        for method, path, operation in operations(document):
            if "415" not in operation["responses"]:
                continue
            answer = client.request(
                method, re.sub(r"{[^}]*}", "1", path), content=b"a=b", headers={"Content-Type": "text/plain"}
            )
            assert (answer.status_code, list(answer.json())) == (415, ["detail"]), (method, path)
            tried += 1
    assert tried > 40


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "application/jsonl"),
        ("*/*", "application/jsonl"),
        ("text/plain", "text/plain; charset=utf-8"),
        ("text/html, text/plain;q=0.5", "text/plain; charset=utf-8"),
        ("application/jsonl, text/plain;q=0.5", "application/jsonl"),
        ("image/png", "application/jsonl"),
    ],
)
def test_lines_of_json_come_as_plain_text_if_the_client_prefers_it(
    server: Server, issuer: LiveIssuer, document: dict[str, Any], accept: str | None, kind: str
) -> None:
    headers = {"Accept": accept} if accept else {}
    with server.client(issuer.token(permissions=["decisions:read"])) as client:
        answer = client.get("/api/v1/decisions/export?subject=unknown", headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    documented = document["paths"]["/api/v1/decisions/export"]["get"]["responses"]["200"]["content"]
    assert kind.split(";", maxsplit=1)[0] in documented


@dataclass
class Detail:
    """Another type of that name, as a handler of a team may have."""

    depth: int


def test_a_handler_of_a_team_may_have_names_that_the_api_has() -> None:
    @get("/own", sync_to_thread=False, responses={404: detail_spec("No such thing", "Thing not found.")})
    def list_teams() -> Detail:
        return Detail(1)

    @get("/other", sync_to_thread=False)
    def other(limit: FromQuery[int]) -> list[str]:
        return []

    def assemble(config: OpenAPIConfig) -> Litestar:
        return Litestar([list_teams, other], openapi_config=config)

    info = ApiInfo("Own", "An API.", {}, "https://api.example")
    document = base_document(assemble, info)
    assert all(resolved(document, {"$ref": reference}) for reference in references(document))
    schema = document["paths"]["/own"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert resolved(document, schema)["required"] == ["depth"]
    (example,) = document["paths"]["/own"]["get"]["responses"]["404"]["content"]["application/json"][
        "examples"
    ].values()
    assert example == {"value": {"detail": "Thing not found."}}
    assert document["paths"]["/other"]["get"]["responses"]["400"] == {"$ref": "#/components/responses/BadRequest"}


def test_each_tag_of_a_team_is_declared() -> None:
    @get("/own", sync_to_thread=False, tags=["stock", "api keys"])
    def own() -> list[str]:
        return []

    @get("/other", sync_to_thread=False)
    def list_others() -> list[str]:
        return []

    info = ApiInfo("Shop", "An API.", {"api keys": "Keys."}, None)
    document = base_document(lambda config: Litestar([own, list_others], openapi_config=config), info)
    operation = document["paths"]["/other"]["get"]
    assert (operation["tags"], operation["summary"]) == (["Shop"], "List others")
    assert [tag["name"] for tag in document["tags"]] == ["Shop", "api keys", "stock"]
    assert [tag["description"] for tag in document["tags"]][1] == "Keys."


def test_a_get_of_a_team_without_head_says_so() -> None:
    @get("/own", sync_to_thread=False)
    def own() -> list[str]:
        return []

    @get_or_head("/both", sync_to_thread=False)
    def both() -> list[str]:
        return []

    def described(*handlers: HTTPRouteHandler) -> tuple[set[str], str, str]:
        info = ApiInfo("Own", "An API.", {}, None)
        document = base_document(lambda config: Litestar(handlers, openapi_config=config), info)
        found = {path for path, item in document["paths"].items() if item["get"].get("x-without-head")}
        shown = re.sub(r"<[^>]+>|\s+", " ", render(with_requirements(document, snapshot(), None)).decode())
        return found, document["info"]["description"].replace("\n", " "), re.sub(r" +", " ", shown)

    without, text, page = described(own, both)
    assert (without, "each GET without `x-without-head` as a HEAD too" in text) == ({"/own"}, True)
    assert ("GET /own " in page, "GET, HEAD /both " in page) == (True, True)
    without, text, _ = described(both)
    assert (without, "each GET as a HEAD too" in text) == (set(), True)


def test_a_parameter_is_never_null_and_has_its_bounds(document: dict[str, Any]) -> None:
    parameters = {
        each["name"]: each["schema"]
        for _, _, operation in operations(document)
        for each in operation.get("parameters", ())
    }
    assert "null" not in str(parameters)
    assert (parameters["wait"]["type"], parameters["wait"]["minimum"], parameters["wait"]["maximum"]) == (
        "number",
        0,
        30,
    )
    assert parameters["owner"]["maxLength"] == 512


def test_each_schema_is_described(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert not [name for name, schema in schemas.items() if not schema.get("description")]
    created = document["paths"]["/api/v1/api-keys"]["post"]["responses"]["201"]
    assert created["description"] == "A new key with its plaintext, which is shown only once."


def test_two_handlers_of_one_name_have_two_operation_ids() -> None:
    @get("/a-b/{thing_id:str}", sync_to_thread=False)
    def list_things(thing_id: FromPath[str]) -> None: ...

    @get("/c", name="other", sync_to_thread=False)
    def again() -> None: ...

    again.fn.__name__ = "list_things"
    config = OpenAPIConfig(title="t", version="1", operation_id_creator=operation_namer())
    paths = Litestar([list_things, again], openapi_config=config).openapi_schema.to_schema()["paths"]
    ids = {path: item["get"]["operationId"] for path, item in paths.items()}
    assert sorted(ids.values()) in (["list_things", "list_things_c"], ["list_things", "list_things_a_b_thing_id"])
