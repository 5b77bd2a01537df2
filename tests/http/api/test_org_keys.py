"""Keys of an organization over HTTP: managed by its members who may, in it alone, and named at every door."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.http.api.test_api_keys import FIELDS, WARNING, teams
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

FORBIDDEN = {"detail": "Token is missing one or more required permissions."}
NOT_FOUND = {"detail": "API key not found."}
MAY = ("org-keys:write", "catalog:read")
Json = dict[str, Any]
_numbers = count(1)


@pytest.fixture
def org() -> str:
    """An organization without keys."""
    return f"org_{next(_numbers)}"


def member(issuer: LiveIssuer, org: str, *permissions: str, version: int = 1, **claims: Any) -> str:
    """A session token of Clerk of a user who has these permissions in an organization."""
    if version == 1:
        stated = {"org_id": org, "org_role": "org:admin", "org_permissions": [f"org:{each}" for each in permissions]}
        return issuer.token(**{**stated, **claims})
    features = [each.partition(":") for each in permissions]
    verbs = sorted({verb for _, _, verb in features})
    stated = {
        "id": org,
        "rol": "admin",
        "per": ",".join(verbs),
        "fpm": ",".join(str(1 << verbs.index(verb)) for _, _, verb in features),
    }
    return issuer.token(v=2, fea=",".join(f"o:{feature}" for feature, _, _ in features), o=stated, **claims)


def path(org: str, rest: str = "") -> str:
    return f"/api/v1/orgs/{org}/api-keys/{rest}"


@pytest.fixture
def ann(server: Server, issuer: LiveIssuer, org: str) -> Iterator[httpx.Client]:
    with server.client(member(issuer, org, *MAY, sub="user_ann")) as client:
        yield client


def issue(client: httpx.Client, org: str, **body: Any) -> Json:
    answer = client.post(path(org), json={"name": "CI", **body})
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    issued: Json = answer.json()
    return issued


def test_a_member_issues_lists_rotates_and_revokes(
    server: Server, issuer: LiveIssuer, ann: httpx.Client, org: str
) -> None:
    issued = issue(ann, org, scopes=["catalog:read"])
    assert (set(issued), issued["warning"]) == ({"api_key", "plaintext", "warning"}, WARNING)
    key = issued["api_key"]
    assert set(key) == {*FIELDS, "organization", "created_by"}
    assert (key["organization"], key["created_by"], key["scopes"]) == (org, "user_ann", ["catalog:read"])
    assert teams(server, issued["plaintext"]).status_code == 200
    with server.client(member(issuer, org, *MAY, version=2, sub="user_bob")) as bob:
        assert bob.get(path(org)).json() == [{**key, "last_used_at": bob.get(path(org)).json()[0]["last_used_at"]}]
        assert bob.get(path(org, f"{key['id']}/")).json()["created_by"] == "user_ann"
        rotated = bob.post(path(org, f"{key['id']}/rotate/"), json={"grace_seconds": 0})
        assert (rotated.status_code, rotated.headers["cache-control"]) == (201, "no-store")
        new = rotated.json()
        assert set(new) == {"api_key", "plaintext", "old_api_key", "warning"}
        assert (new["api_key"]["created_by"], new["old_api_key"]["is_active"]) == ("user_bob", False)
        assert [key["id"] for key in bob.get(path(org)).json()] == [new["api_key"]["id"], key["id"]]
    assert teams(server, issued["plaintext"]).status_code == 401
    assert teams(server, new["plaintext"]).status_code == 200
    first, again = (ann.post(path(org, f"{new['api_key']['id']}/revoke/")) for _ in range(2))
    assert first.json() == again.json()
    assert (first.status_code, first.json()["is_active"]) == (200, False)
    assert teams(server, new["plaintext"]).json() == {"detail": "API key has been revoked."}
    assert ann.post(path(org, f"{key['id']}/rotate/")).status_code == 409


@pytest.mark.parametrize(
    "claims",
    [
        {"org_permissions": ["org:catalog:read"]},
        {"org_id": "org_other"},
        {"org_id": None, "org_role": None, "org_permissions": None, "permissions": ["org-keys:write"]},
        {"org_permissions": ["org-keys:read", "org:org-keys:*", "*"], "permissions": ["org:org-keys:write"]},
    ],
    ids=["another permission", "another organization", "no organization", "another spelling"],
)
def test_only_who_may_in_the_organization_manages_its_keys(
    server: Server, issuer: LiveIssuer, ann: httpx.Client, org: str, claims: Json
) -> None:
    key = issue(ann, org)["api_key"]
    with server.client(member(issuer, org, *MAY, sub="user_eve", **claims)) as eve:
        answers = [
            eve.get(path(org)),
            eve.post(path(org), json={"name": "k"}),
            *(eve.get(path(org, f"{each}/")) for each in (key["id"], 999_999)),
            *(eve.post(path(org, f"{each}/{what}/")) for each in (key["id"], 999_999) for what in ("revoke", "rotate")),
        ]
    assert {(answer.status_code, answer.text) for answer in answers} == {
        (403, '{"detail":"Token is missing one or more required permissions."}')
    }
    assert ann.get(path(org, f"{key['id']}/")).json()["is_active"] is True


def test_the_key_of_another_owner_is_not_found(server: Server, issuer: LiveIssuer, ann: httpx.Client, org: str) -> None:
    key = issue(ann, org)["api_key"]["id"]
    own = ann.post("/api/v1/api-keys/", json={"name": "mine"}).json()["api_key"]
    assert set(own) == FIELDS
    assert [each["id"] for each in ann.get("/api/v1/api-keys/").json() if each["id"] in (key, own["id"])] == [own["id"]]
    with server.client(member(issuer, "org_x", *MAY, sub="user_eve")) as eve:
        answers = [
            *(client.get(f"{at}{key}/") for client, at in ((eve, path("org_x")), (ann, "/api/v1/api-keys/"))),
            *(client.post(f"{at}{key}/revoke/") for client, at in ((eve, path("org_x")), (ann, "/api/v1/api-keys/"))),
            *(client.post(f"{at}{key}/rotate/") for client, at in ((eve, path("org_x")), (ann, "/api/v1/api-keys/"))),
            ann.get(path(org, f"{own['id']}/")),
            ann.post(path(org, f"{own['id']}/revoke/")),
            ann.get(path(org, f"+{key}/")),
        ]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(404, NOT_FOUND)] * len(answers)


def test_a_key_of_the_organization_manages_no_keys(server: Server, ann: httpx.Client, org: str) -> None:
    issued = issue(ann, org, scopes=list(MAY))
    with server.client(issued["plaintext"]) as key:
        assert key.get("/api/v1/teams/").status_code == 200
        for at in (path(org), "/api/v1/api-keys/"):
            for answer in (key.get(at), key.post(at, json={"name": "more"}), key.post(f"{at}1/rotate/")):
                assert (answer.status_code, answer.json()) == (403, FORBIDDEN)


def test_a_scope_is_one_that_the_member_has_in_the_organization(server: Server, issuer: LiveIssuer, org: str) -> None:
    token = member(issuer, org, *MAY, sub="user_ann", permissions=["holdings:read", "policies:write"])
    with server.client(token) as client:
        for scope in ("holdings:read", "policies:write", "catalog:write"):
            answer = client.post(path(org), json={"name": "k", "scopes": ["catalog:read", scope]})
            assert (answer.status_code, answer.json()) == (403, FORBIDDEN), scope
            assert f'scope="{scope}"' in answer.headers["www-authenticate"]
        assert client.post(path(org), json={"name": "k", "scopes": ["org:x"]}).status_code == 400
        assert client.get(path(org)).json() == []
        own = client.post("/api/v1/api-keys/", json={"name": "k", "scopes": ["holdings:read"]})
        assert own.status_code == 201


def test_a_long_list_has_a_next_page_of_the_same_organization(ann: httpx.Client, org: str) -> None:
    encoded = org.replace("_", "%5F")
    assert ann.get(path(encoded)).status_code == 400, "an unreserved character must not be encoded"
    assert ann.get(path(org), params={"cursor": "nonsense"}).status_code == 400


@pytest.mark.parametrize("odd", ["partner:org_1", "a@b", "a=b+c~d"])
def test_an_id_with_other_characters_is_named_as_it_is_or_encoded(server: Server, issuer: LiveIssuer, odd: str) -> None:
    with server.client(member(issuer, odd, *MAY)) as client:
        issued = issue(client, odd)
        assert issued["api_key"]["organization"] == odd
        at = path(odd.replace(":", "%3A").replace("@", "%40").replace("=", "%3D"), f"{issued['api_key']['id']}/")
        assert client.get(at).json() == issued["api_key"]


def test_every_record_of_a_request_names_the_organization(
    server: Server, issuer: LiveIssuer, ann: httpx.Client, org: str
) -> None:
    issued = issue(ann, org, scopes=["catalog:read"])
    number = issued["api_key"]["id"]
    request_id = teams(server, issued["plaintext"]).headers["x-request-id"]
    operator = issuer.token(
        sub="user_operator",
        permissions=["decisions:read", "audit:read", "tokens:introspect", "policies:read", "decisions:evaluate"],
    )
    with server.client(operator) as client:
        (decision,) = _eventually(
            lambda: client.get("/api/v1/decisions/", params={"request_id": request_id}).json()["results"]
        )
        assert (decision["subject"], decision["organization"], decision["key_id"]) == (f"org:{org}", org, number)
        made = client.get("/api/v1/decisions/", params={"subject": "user_ann"}).json()["results"][0]
        assert made["organization"] == org, "of a member too"
        (act,) = client.get("/api/v1/admin-actions/", params={"target": f"key:{number}"}).json()
        assert (act["actor"], act["details"]["owner"]) == ("user_ann", f"org:{org}")
        told = client.post("/oauth/introspect", data={"token": issued["plaintext"]}).json()
        assert (told["sub"], told["org_id"], told["scope"]) == (f"org:{org}", org, "catalog:read")
        token = member(issuer, org, *MAY, sub="user_ann")
        told = client.post("/oauth/introspect", data={"token": token}).json()
        assert (told["sub"], told["org_id"]) == ("user_ann", org)
        explained = client.post(
            "/api/v1/policies/explain/", json={"key_id": number, "action": "GET", "resource": "/api/v1/teams/7"}
        )
        assert explained.json()["key"]["owner"] == f"org:{org}"
        asked = {"subject": {"type": "key", "id": str(number)}, "resource": {"type": "route", "id": "/api/v1/teams/7"}}
        answers = [
            client.post("/access/v1/evaluation", json={**asked, "action": {"name": action}}).json()["decision"]
            for action in ("GET", "DELETE")
        ]
        assert answers == [True, False]


def test_all_keys_of_an_organization_are_revoked_by_an_administrator(
    server: Server, issuer: LiveIssuer, ann: httpx.Client, org: str
) -> None:
    tokens = [issue(ann, org, scopes=["catalog:read"])["plaintext"] for _ in range(2)]
    own = ann.post("/api/v1/api-keys/", json={"name": "mine"}).json()["api_key"]["id"]
    with server.client(issuer.token(sub="user_admin", permissions=["keys:read", "keys:write"])) as admin:
        beyond = admin.get("/api/v1/all-keys/beyond-owner/", params={"owner": f"org:{org}"}).json()
        assert beyond["results"] == [], "what the token stated counts as held"
        revoked = admin.post("/api/v1/all-keys/revoke/", json={"owner": f"org:{org}"}).json()
    assert revoked == {"owner": f"org:{org}", "revoked": 2}
    assert [teams(server, token).status_code for token in tokens] == [401, 401]
    assert ann.get(f"/api/v1/api-keys/{own}/").json()["is_active"] is True


def test_no_user_has_the_subject_of_an_organization(server: Server, issuer: LiveIssuer, org: str) -> None:
    token = issuer.token(sub=f"org:{org}", permissions=["catalog:read"])
    answer = teams(server, token)
    assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid token."})


def test_an_id_is_in_the_path_as_it_is_or_encoded(server: Server, issuer: LiveIssuer) -> None:
    org = "A9_.:@~+=-z"
    with server.client(member(issuer, org, *MAY)) as client:
        issue(client, org)
        for spelled in (org, quote(org, safe=""), "A9_.%3a@~%2b%3d-z"):
            assert [each["organization"] for each in client.get(path(spelled)).json()] == [org]
        for spelled in ("A9%5F.:@~+=-z", "A9_%2E:@~+=-z", f"{org}%2F", f"{org}%25"):
            assert client.get(path(spelled)).status_code == 400
        for spelled in (org.lower(), f"{org}%20", f"{org}%7C", f"{org}*"):
            assert client.get(path(spelled)).status_code in (400, 403)
    with server.client(member(issuer, "a/b", *MAY)) as client:
        assert [client.get(path(each)).status_code for each in ("a%2Fb", "a/b", "a")] == [404, 404, 403]
    refused = teams(server, member(issuer, "a%b", *MAY))
    assert (refused.status_code, refused.json()) == (401, {"detail": "Invalid token."})


def test_an_impersonated_session_gets_no_credentials(
    server: Server, issuer: LiveIssuer, ann: httpx.Client, org: str
) -> None:
    keys = (path(org, f"{issue(ann, org)['api_key']['id']}/rotate/"), path(org))
    own = ann.post("/api/v1/api-keys/", json={"name": "mine"}).json()["api_key"]["id"]
    token = member(
        issuer, org, *MAY, "apps:write", "apps:read", sub="user_ann", act={"iss": "https://x", "sub": "user_support"}
    )
    app = {"name": "Scores", "redirect_uris": ["https://app.example/cb"], "confidential": True}
    with server.client(member(issuer, org, *MAY, "apps:write", sub="user_ann")) as client:
        registered = client.post("/api/v1/oauth/apps/", json=app).json()["app"]["id"]
    with server.client(token) as client:
        assert client.get(path(org)).status_code == 200
        answers = [
            *(client.post(at, json={"name": "k"} if at.endswith("api-keys/") else {}) for at in keys),
            client.post("/api/v1/api-keys/", json={"name": "k"}),
            client.post(f"/api/v1/api-keys/{own}/rotate/"),
            client.post("/api/v1/oauth/apps/", json=app),
            client.post(f"/api/v1/oauth/apps/{registered}/rotate/"),
        ]
    detail = "You act as another user now, so no credentials are issued in their name."
    assert [(answer.status_code, answer.json()) for answer in answers] == [(403, {"detail": detail})] * len(answers)


def _eventually(find: Callable[[], list[Json]]) -> list[Json]:
    found: list[Json] = []

    def look() -> bool:
        found[:] = find()
        return bool(found)

    assert eventually(look)
    return found
