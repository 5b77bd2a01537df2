"""The pages of the keys of the organization that a user is signed in to."""

from __future__ import annotations

import re
import secrets
from itertools import count

import httpx
import pytest

from app.identity.organization import Organization
from tests.console.browsing import Browser
from tests.console.developers import plaintext, teams
from tests.console.sessions import Person, sign_in
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

PATH = "/console/org-keys"
MAY = ("org-keys:write", "catalog:read")
_numbers = count(1)


@pytest.fixture
def org() -> Organization:
    """An organization without keys."""
    number = next(_numbers)
    return Organization(f"org_page_{number}", "admin", f"acme-{number}", MAY)


def member(
    console: Server, org: Organization, subject: str = "user_ann", *, act: dict[str, str] | None = None
) -> Person:
    return sign_in(console, subject, (*org.permissions, "holdings:read"), organization=org, act=act)


def issue(person: Person, **given: str) -> httpx.Response:
    form = {"name": "nightly import", "scopes": "catalog:read", "lives": "90", "environment": "live"}
    return person.post(f"{PATH}/new", form_id=secrets.token_hex(16), **{**form, **given})


def number(answer: httpx.Response) -> int:
    found = re.search(rf"{PATH}/(\d+)", answer.text)
    assert found, answer.text
    return int(found[1])


def test_a_member_issues_rotates_and_revokes_a_key_that_names_the_organization(
    console: Server, org: Organization
) -> None:
    ann, bob = member(console, org), member(console, org, "user_bob")
    assert "Your organization has no keys yet" in ann.get(PATH).text
    form = ann.get(f"{PATH}/new").text
    assert f"It belongs to {org.slug}" in form
    assert re.findall(r'name="scopes" value="([^"]+)"', form) == ["catalog:read", "org-keys:write"]
    shown = issue(ann)
    assert (shown.status_code, shown.headers["cache-control"]) == (201, "no-store")
    key, token = number(shown), plaintext(shown)
    assert teams(console, token).status_code == 200
    listed, page = bob.get(PATH).text, bob.get(f"{PATH}/{key}").text
    assert f"<h1>Keys of {org.slug}</h1>" in listed
    assert "by user_ann" in listed
    assert f"<dt>Organization</dt><dd>{org.slug} <code>{org.id}</code></dd>" in page
    assert "<dt>Issued by</dt><dd>user_ann</dd>" in page
    rotated = bob.post(f"{PATH}/{key}/rotate", grace="0", form_id=secrets.token_hex(16))
    assert rotated.status_code == 201
    assert (teams(console, token).status_code, teams(console, plaintext(rotated)).status_code) == (401, 200)
    assert f"It belongs to {org.slug}." in ann.get(f"{PATH}/{number(rotated)}/revoke").text
    revoked = ann.post(f"{PATH}/{number(rotated)}/revoke")
    assert revoked.headers["location"] == f"{PATH}/{number(rotated)}?done=revoked"
    assert teams(console, plaintext(rotated)).status_code == 401
    assert token not in ann.get(PATH).text + ann.get(f"{PATH}/{key}").text
    assert f"/console/keys/{key}" not in ann.get("/console/keys").text


def test_the_list_of_all_keys_names_the_organization_and_the_person(console: Server, org: Organization) -> None:
    key = number(issue(member(console, org)))
    officer = sign_in(console, "user_carol", ("keys:read", "keys:write"))
    listed = officer.get(f"/console/all-keys?owner=org%3A{org.id}").text
    assert f"org:{org.id}<br>" in listed
    assert "by user_ann" in listed
    assert "<dt>Issued by</dt><dd>user_ann</dd>" in officer.get(f"/console/all-keys/{key}/revoke").text


def test_a_page_of_one_organization_is_not_answered_in_another(console: Server, org: Organization) -> None:
    before, key = member(console, org), number(issue(member(console, org)))
    other = Organization("org_page_other", "admin", "", MAY)
    switched = member(console, other)
    for path in (f"{PATH}/new", f"{PATH}/{key}/revoke", f"{PATH}/{key}/rotate"):
        form = {"csrf": before.csrf, "name": "k", "scopes": "catalog:read", "lives": "90", "environment": "live"}
        sent = switched.post(path, **form, grace="0", form_id=secrets.token_hex(16))
        assert sent.status_code == 403, path
        assert "This form is from another session" in sent.text
    assert [switched.get(f"{PATH}/{key}{more}").status_code for more in ("", "/revoke", "/rotate")] == [404] * 3
    assert switched.post(f"{PATH}/{key}/revoke").status_code == 404
    assert "Your organization has no keys yet" in switched.get(PATH).text
    assert "<h1>Keys of org_page_other</h1>" in switched.get(PATH).text
    assert "Revoke" in before.get(f"{PATH}/{key}").text


@pytest.mark.parametrize(
    ("permissions", "organization", "status", "says"),
    [
        (MAY, None, 403, "You are not signed in to an organization."),
        (("catalog:read",), Organization("org_1", "admin", "", ("catalog:read",)), 403, "org-keys:write"),
        ((), None, 403, "org-keys:write"),
    ],
)
def test_without_an_organization_or_the_permission_no_page_opens(
    *, console: Server, permissions: tuple[str, ...], organization: Organization | None, status: int, says: str
) -> None:
    person = sign_in(console, "user_dan", permissions, organization=organization)
    for path in (PATH, f"{PATH}/new", f"{PATH}/1", f"{PATH}/1/rotate"):
        answer = person.get(path)
        assert (answer.status_code, says in answer.text) == (status, True), path
    assert issue(person).status_code == status
    assert (PATH in person.get("/console/account").text) is ("org-keys:write" in permissions), "a link only to it"


def test_a_scope_of_the_person_alone_is_refused(console: Server, org: Organization) -> None:
    refused = issue(member(console, org), scopes="holdings:read")
    assert refused.status_code == 400
    assert "You no longer hold one of these." in refused.text


def test_a_session_of_the_previous_version_gives_nothing_of_the_organization(
    console: Server, org: Organization
) -> None:
    unknown = Organization(org.id, org.role, org.slug)
    person = sign_in(console, "user_ann", MAY, organization=unknown)
    assert "you hold no permissions in" in person.get(f"{PATH}/new").text
    refused = issue(person)
    assert (refused.status_code, "you hold no permissions in" in refused.text) == (400, True)


def test_a_party_that_acts_as_a_member_gets_no_key(console: Server, org: Organization) -> None:
    key = number(issue(member(console, org)))
    own = sign_in(console, "user_ann", ("catalog:read", "apps:read", "apps:write"), act={"sub": "user_support"})
    acted = member(console, org, act={"sub": "user_support"})
    form = {"name": "k", "scopes": "catalog:read", "lives": "90", "environment": "live"}
    app = {"name": "Scores", "redirects": "https://app.example/cb", "runs": "server"}
    sent = [
        issue(acted),
        acted.post(f"{PATH}/{key}/rotate", grace="0", form_id=secrets.token_hex(16)),
        own.post("/console/keys/new", form_id=secrets.token_hex(16), **form),
        own.post("/console/registered-apps/new", form_id=secrets.token_hex(16), **app),
    ]
    for answer in sent:
        assert answer.status_code == 403
        assert "You act as another user now, so no credentials are issued in their name." in answer.text


def test_a_sign_in_brings_the_permissions_in_the_organization(browser: Browser, issuer: LiveIssuer) -> None:
    assert browser.sign_in(issuer, "user_fay").status_code == 303
    assert "in the organization acme <code>org_acme</code>" in browser.get("/console/account").text
    assert "<h1>Keys of acme</h1>" in browser.get(PATH).text
    form = browser.get(f"{PATH}/new").text
    offered = re.findall(r'name="scopes" value="([^"]+)"', form)
    assert offered == ["catalog:read", "catalog:write", "holdings:read", "org-keys:write"]
