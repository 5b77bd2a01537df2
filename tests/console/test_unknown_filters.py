"""A list that does not know a filter says so, instead of showing what was not asked for."""

from __future__ import annotations

import pytest

from tests.console.admins import officer, words
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

# The filters of each list of the console and of the API.
PAGES = {
    "/console/all-keys": "owner, prefix, status",
    "/console/keys": "state",
    "/console/registered-apps": "kind, status",
    "/console/policy/matrix": "q, file, column, options",
    "/console/decisions": "subject, key_id",
    "/console/admin-actions": "action, actor",
    "/console/policy/history": "",
    "/console/replicas": "",
    "/console/apps": "",
}
LISTS = {
    "/api/v1/oauth/apps/": ("apps:read", "client_id, kind, status"),
    "/api/v1/all-keys/beyond-owner/": ("keys:read", "owner"),
    "/api/v1/policies/reach/?grants=catalog:read": ("policies:read", "grants, key_id"),
    "/api/v1/policies/who/?action=GET&resource=/api/v1/teams": ("policies:read", "action, resource"),
    "/api/v1/policies/usage/?key_id=1": ("policies:read decisions:read keys:read", "key_id, days"),
    "/api/v1/decisions/": ("decisions:read", "subject, key_id"),
    "/api/v1/decisions/export": ("decisions:read", "subject, key_id"),
    "/api/v1/admin-actions/": ("audit:read", "action, actor"),
}


@pytest.mark.parametrize(("path", "known"), PAGES.items(), ids=str)
def test_a_page_says_which_filters_it_has(console: Server, path: str, known: str) -> None:
    person = officer(console)
    assert person.get(path).status_code == 200
    answer = person.get(f"{path}?ownr=%3Cb%3Eneedle")
    choice = f"choose one of {known}" if known else "this list has none"
    assert answer.status_code == 400
    assert "ownr" in words(answer.text)
    assert f"is not a filter; {choice}" in words(answer.text)
    assert "needle" not in answer.text, "the value is not repeated"
    twice = person.get(f"{path}?ownr=1&ownr=2")
    assert (twice.status_code, "stands here twice" in words(twice.text)) == (400, True)


@pytest.mark.parametrize("query", ["sort=used&cursor=", "owner=&prefix=&status=&sort=newest"])
def test_what_a_form_sends_is_known(console: Server, query: str) -> None:
    assert officer(console).get(f"/console/all-keys?{query}").status_code == 200


@pytest.mark.parametrize(("path", "needs_and_known"), LISTS.items(), ids=str)
def test_a_list_with_filters_refuses_others(
    console: Server, issuer: LiveIssuer, path: str, needs_and_known: tuple[str, str]
) -> None:
    needs, known = needs_and_known
    with console.client(issuer.token(permissions=needs.split())) as client:
        answer = client.get(f"{path}{'&' if '?' in path else '?'}ownr=7")
    assert (answer.status_code, answer.json()["detail"]) == (400, "The filters are invalid.")
    (error,) = answer.json()["errors"]
    assert error["field"] == "ownr"
    assert error["message"].startswith(f"is not a filter; choose one of {known}")


def test_401_and_403_come_before_an_unknown_filter(console: Server, issuer: LiveIssuer) -> None:
    path = "/api/v1/all-keys/beyond-owner/?ownr=7"
    with console.client() as client:
        assert client.get(path).status_code == 401
    with console.client(issuer.token(permissions=["catalog:read"])) as client:
        assert client.get(path).status_code == 403
