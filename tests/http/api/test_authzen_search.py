"""Searches over AuthZEN: results, order, pages, and only what is allowed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.db.engine import open_engine
from app.db.session import sessions_of
from app.identity.api_keys import mint
from app.keys import api_keys
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

SUBJECT, RESOURCE, ACTION = (f"/access/v1/search/{name}" for name in ("subject", "resource", "action"))
EVALUATION = "/access/v1/evaluation"
Json = dict[str, Any]
KEYS, OWNERS, CROWD, SHELVES = 1210, 1100, 10_700, 2300

ROWS = f"""\
p, role:member, book, read|lend, allow
p, user:user_named, book, read, allow
p, user:user_barred, book, read, deny
p, auth:jwt, magazine, read, allow
p, auth:api_key env:live, book, read, allow
p, catalog:write, book, burn, allow
p, anyone, book:open, read, allow
p, anyone, shelf, see, allow
p, anyone, shelf:s00007, see, deny
p, anyone, needle, find, allow, "resource.id == 'n{CROWD - 1:05}'"
g, user:user_b, role:member
g, user:user_a, role:member
g, user:user_barred, role:member
# end
"""


def _entities() -> Iterator[tuple[str, str]]:
    people = "subjects:\n  - {type: user, id: user_c, properties: {permissions: catalog:write}}\n"
    yield "people.yaml", people + "  - {type: robot, id: r2, properties: {permissions: catalog:write}}\n# end\n"
    yield "books.yaml", "resources:\n  - {type: book, id: zen}\n  - {type: book, id: art}\n# end\n"
    for kind, count in (("shelf", SHELVES), ("needle", CROWD)):
        for start in range(0, count, 4000):
            lines = [f"  - {{type: {kind}, id: {kind[0]}{n:05}}}" for n in range(start, min(start + 4000, count))]
            yield f"{kind}{start}.yaml", "\n".join(["resources:", *lines, "# end", ""])


async def _fill(url: str) -> None:
    """Many keys of many owners; every third is revoked, expired or of the other environment."""
    engine = open_engine(url)
    now = datetime.now(UTC)
    async with sessions_of(engine)() as session:
        for number in range(KEYS):
            new = mint("test" if number % 9 == 0 else "live")
            row = await api_keys.insert(
                session,
                subject=f"owner_{number % OWNERS:05}",
                name="k",
                new=new,
                scopes=["catalog:write"] if number % 2 else [],
                now=now,
                expires_at=now - timedelta(days=1) if number % 9 == 3 else None,
            )
            if number % 9 == 6:
                row.revoked_at = now
        # A user whom the policy names, too.
        await api_keys.insert(session, subject="user_a", name="k", new=mint("live"), scopes=[], now=now)
        await session.commit()
    await engine.dispose()


@pytest.fixture(scope="module")
def pdp(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    server = Server(
        tmp_path_factory.mktemp("pdp"), jwks_url=issuer.jwks_url, issuer=issuer.url, key_environments="live"
    )
    (server.policy_dir / "books.csv").write_text(ROWS)
    (server.policy_dir / "entities").mkdir()
    for name, text in _entities():
        (server.policy_dir / "entities" / name).write_text(text)
    with server:
        asyncio.run(_fill(server.env["AUTHZ_DATABASE_URL"]))
        with server.client(issuer.token(sub="user_service", permissions=["decisions:evaluate"])) as client:
            yield client


def search(kind: str, **more: Any) -> Json:
    """A search for who may read a book."""
    return {
        "subject": {"type": kind},
        "action": {"name": "read"},
        "resource": {"type": "book", "id": "zen"},
        **more,
    }


def pages(pdp: httpx.Client, path: str, body: Json, limit: int) -> Iterator[list[Json]]:
    """The results, page by page, until a token is empty."""
    page: Json = {"limit": limit}
    while True:
        answer = pdp.post(path, json={**body, "page": page})
        assert answer.status_code == 200, answer.text
        content = answer.json()
        yield content["results"]
        if not content["page"]["next_token"]:
            return
        page = {"limit": limit, "token": content["page"]["next_token"]}


def every(pdp: httpx.Client, path: str, body: Json, limit: int = 1000) -> list[str]:
    return [found.get("id") or found["name"] for page in pages(pdp, path, body, limit) for found in page]


def test_users_come_from_the_policy_and_the_database(pdp: httpx.Client) -> None:
    assert pdp.post(SUBJECT, json=search("user")).json() == {
        "results": [{"type": "user", "id": name} for name in ("user_a", "user_b", "user_named")]
    }
    readers = every(pdp, SUBJECT, search("user", resource={"type": "magazine", "id": "1"}))
    named = ["user_a", "user_b", "user_barred", "user_c", "user_named"]
    assert readers == [*named, *(f"owner_{number:05}" for number in range(OWNERS))], "each once"
    alias = pdp.post(SUBJECT, json=search("identity")).json()["results"]
    assert alias == [{"type": "identity", "id": name} for name in ("user_a", "user_b", "user_named")]


@pytest.mark.parametrize("ignored", ["user_b", "", 7, None, {}])
def test_the_id_of_the_searched_entity_is_ignored(pdp: httpx.Client, ignored: Any) -> None:
    subjects = search("user", subject={"type": "user", "id": ignored})
    assert every(pdp, SUBJECT, subjects) == ["user_a", "user_b", "user_named"]
    subject, action = {"type": "user", "id": "user_a"}, {"name": "lend"}
    resources = {"subject": subject, "action": action, "resource": {"type": "book", "id": ignored}}
    assert every(pdp, RESOURCE, resources) == ["art", "open", "zen"]
    actions = {"subject": subject, "action": ignored, "resource": {"type": "book", "id": "zen"}}
    assert every(pdp, ACTION, actions) == ["lend", "read"]


def test_stored_and_sent_attributes_are_evaluated(pdp: httpx.Client) -> None:
    burn = {"name": "burn"}
    assert every(pdp, SUBJECT, search("user", action=burn)) == ["user_c"]
    assert every(pdp, SUBJECT, search("robot", action=burn)) == ["r2"]
    sent = {"type": "robot", "properties": {"permissions": []}}
    assert every(pdp, SUBJECT, search("robot", action=burn, subject=sent)) == []
    assert every(pdp, SUBJECT, search("ghost", action=burn)) == []


def test_only_accepted_keys_are_found(pdp: httpx.Client) -> None:
    found = every(pdp, SUBJECT, search("key"), limit=137)
    good = [str(number + 1) for number in range(KEYS) if number % 3]
    assert found == [*good, str(KEYS + 1)]
    burners = every(pdp, SUBJECT, search("key", action={"name": "burn"}))
    assert burners == [str(number + 1) for number in range(KEYS) if number % 3 and number % 2]


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_pages_of_any_size_have_the_same_results(pdp: httpx.Client, limit: int) -> None:
    found = list(pages(pdp, SUBJECT, search("user"), limit))
    assert [one["id"] for page in found for one in page] == ["user_a", "user_b", "user_named"]
    assert [len(page) for page in found] == [min(limit, 3 - start) for start in range(0, 3, limit)]


def test_resources_come_from_entities_and_rows(pdp: httpx.Client) -> None:
    def books(subject: Json, action: str) -> list[str]:
        return every(pdp, RESOURCE, {"subject": subject, "action": {"name": action}, "resource": {"type": "book"}})

    assert books({"type": "user", "id": "user_a"}, "read") == ["art", "open", "zen"]
    assert books({"type": "user", "id": "user_a"}, "lend") == ["art", "open", "zen"]
    assert books({"type": "user", "id": "user_unknown"}, "read") == ["open"]
    assert books({"type": "user", "id": "user_barred"}, "read") == []
    assert books({"type": "key", "id": "2"}, "read") == ["art", "open", "zen"]
    assert books({"type": "key", "id": "1"}, "read") == [], "of an environment that is not taken"
    assert books({"type": "key", "id": "999999"}, "read") == []


def test_denied_candidates_are_left_out_of_pages(pdp: httpx.Client) -> None:
    body = {"subject": {"type": "user", "id": "u"}, "action": {"name": "see"}, "resource": {"type": "shelf"}}
    expected = [f"s{number:05}" for number in range(SHELVES) if number != 7]
    assert every(pdp, RESOURCE, body) == expected
    first = pdp.post(RESOURCE, json=body).json()
    assert [found["id"] for found in first["results"]] == expected[:100], "a hundred where no limit is given"
    assert first["page"]["next_token"]
    capped = pdp.post(RESOURCE, json={**body, "page": {"limit": 10**9}}).json()
    assert len(capped["results"]) == 1000


def test_a_call_evaluates_at_most_ten_thousand_candidates(pdp: httpx.Client) -> None:
    body = {"subject": {"type": "user", "id": "u"}, "action": {"name": "find"}, "resource": {"type": "needle"}}
    first = pdp.post(RESOURCE, json=body).json()
    assert first["results"] == []
    second = pdp.post(RESOURCE, json={**body, "page": {"token": first["page"]["next_token"]}}).json()
    assert second == {"results": [{"type": "needle", "id": f"n{CROWD - 1:05}"}], "page": {"next_token": ""}}


def test_routes_are_found_by_their_templates_and_methods(pdp: httpx.Client) -> None:
    reader = {"type": "user", "id": "u", "properties": {"permissions": ["catalog:read"]}}
    body = {"subject": reader, "action": {"name": "GET"}, "resource": {"type": "route"}}
    found = every(pdp, RESOURCE, body)
    assert "/api/v1/teams" in found
    assert "/api/v1/teams/{team_id}" in found
    assert "/api/v1/sources" not in found
    assert found == sorted(found)
    for template in found:
        asked = {**body, "resource": {"type": "route", "id": template}}
        assert pdp.post(EVALUATION, json=asked).json() == {"decision": True}
    for route in ("/api/v1/teams/{team_id}", "/api/v1/teams/7"):
        body = {"subject": reader, "resource": {"type": "route", "id": route}}
        assert every(pdp, ACTION, body) == ["GET", "HEAD", "OPTIONS"]
    assert every(pdp, ACTION, {"subject": reader, "resource": {"type": "route", "id": "/nowhere"}}) == []


def test_actions_come_from_rows(pdp: httpx.Client) -> None:
    def actions(subject: Json, resource: Json) -> list[str]:
        return every(pdp, ACTION, {"subject": subject, "resource": resource})

    zen = {"type": "book", "id": "zen"}
    assert actions({"type": "user", "id": "user_a"}, zen) == ["lend", "read"]
    assert actions({"type": "user", "id": "user_c"}, zen) == ["burn"]
    assert actions({"type": "user", "id": "u"}, {"type": "book", "id": "open"}) == ["read"]
    assert actions({"type": "user", "id": "u"}, {"type": "book", "id": "ope n"}) == []
    assert actions({"type": "user", "id": "user_a"}, {"type": "/api", "id": "v1"}) == []


def test_a_token_is_accepted_by_its_own_search_only(pdp: httpx.Client) -> None:
    body = search("user")
    token = pdp.post(SUBJECT, json={**body, "page": {"limit": 1}}).json()["page"]["next_token"]
    again = pdp.post(SUBJECT, json={"page": {"token": token, "limit": 1}, **body, "ignored": 1, "context": {}}).json()
    assert again["results"] == [{"type": "user", "id": "user_b"}]
    same = search("user", subject={"type": "user", "id": "ignored"})
    assert pdp.post(SUBJECT, json={**same, "page": {"token": token}}).json()["results"][0]["id"] == "user_b"
    others = [
        (SUBJECT, search("identity")),
        (SUBJECT, search("user", action={"name": "lend"})),
        (SUBJECT, search("user", resource={"type": "book", "id": "art"})),
        (SUBJECT, search("user", context={"a": 1})),
        (SUBJECT, search("user", subject={"type": "user", "properties": {"a": 1}})),
        (RESOURCE, {**body, "subject": {"type": "user", "id": "user_a"}}),
        (ACTION, {**body, "subject": {"type": "user", "id": "user_a"}}),
    ]
    for path, other in others:
        answer = pdp.post(path, json={**other, "page": {"token": token}})
        assert answer.status_code == 400, other
        assert answer.json()["detail"].startswith("`page.token` is not of this search")


def test_a_token_remains_valid_when_its_last_result_is_deleted(own_server: Server, issuer: LiveIssuer) -> None:
    rows = own_server.policy_dir / "books.csv"
    names = [f"g, user:user_{name}, role:member" for name in "abcd"]

    def write(*members: str) -> None:
        rows.write_text("\n".join(["p, role:member, book, read, allow", *members, "# end", ""]))
        own_server.wait_for_log(lambda entry: entry.get("event") == "policy swapped")
        own_server.lines.clear()

    write(*names)
    with own_server.client(issuer.token(permissions="decisions:evaluate")) as client:
        first = client.post(SUBJECT, json=search("user", page={"limit": 2})).json()
        write(names[0], *names[2:])
        rest = client.post(SUBJECT, json=search("user", page={"token": first["page"]["next_token"]})).json()
    assert [found["id"] for found in rest["results"]] == ["user_c", "user_d"]


@pytest.mark.parametrize(
    ("page", "detail"),
    [
        ({"limit": 0}, "`page.limit` must be at least 1."),
        ({"limit": -1}, "`page.limit` must be at least 1."),
        ({"limit": "7"}, "`page.limit` must be a whole number, not a string."),
        ({"limit": 1.5}, "`page.limit` must be a whole number, not a number."),
        ({"token": 7}, "`page.token` must be a string, not a whole number."),
        ([], "`page` must be an object, not an array."),
    ],
)
def test_an_invalid_page_is_refused(pdp: httpx.Client, page: Any, detail: str) -> None:
    answer = pdp.post(SUBJECT, json=search("user", page=page))
    assert (answer.status_code, answer.json()) == (400, {"detail": detail})


@pytest.mark.parametrize("token", ["x", "====", "\u00e9", "A" * 5000, "AAAAAAAAAAAAAAAAAAAAAA", "a b", "\x00"])
def test_an_invalid_token_is_refused(pdp: httpx.Client, token: str) -> None:
    assert pdp.post(SUBJECT, json=search("user", page={"token": token})).status_code == 400


def test_an_empty_token_begins_the_search_and_empty_pages_are_marked(pdp: httpx.Client) -> None:
    whole = pdp.post(SUBJECT, json=search("user", page={"token": ""})).json()
    assert [found["id"] for found in whole["results"]] == ["user_a", "user_b", "user_named"]
    assert whole["page"] == {"next_token": ""}
    none = pdp.post(SUBJECT, json=search("spaceship", page={})).json()
    assert none == {"results": [], "page": {"next_token": ""}}
