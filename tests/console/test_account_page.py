"""The account page: what a user may do, and where the user is signed in."""

from __future__ import annotations

import re

from app.identity.organization import Organization
from tests.console.sessions import Person, sign_in
from tests.support.server import Server


def sessions_on(person: Person) -> list[bool]:
    """Of each session on the page of a user, whether it is that of this browser."""
    page = person.get("/console/account")
    assert page.status_code == 200
    return ["(this browser)" in each for each in re.findall("<li>Since .*</li>", page.text)]


def test_the_session_of_this_browser_is_marked(console: Server) -> None:
    first, second, third = (sign_in(console, "user_with_three_browsers") for _ in range(3))
    assert sessions_on(first) == [False, False, True]
    assert sessions_on(second) == [False, True, False]
    assert sessions_on(third) == [True, False, False]


def test_the_permissions_of_a_user_are_shown_and_those_that_amount_to_all_are_marked(console: Server) -> None:
    person = sign_in(console, "user_officer_too", ["catalog:read", "policies:write", "made:up"])
    page = person.get("/console/account").text
    shown = dict(re.findall(r"<dt><code>([^<]+)</code></dt><dd>.*?(Root)?(?:</span>)?</dd>", page))
    assert shown == {"catalog:read": "", "policies:write": "Root"}


def test_the_organization_of_a_user_is_shown(console: Server) -> None:
    organization = Organization("org_1", slug="acme")
    page = sign_in(console, "user_member", organization=organization).get("/console/account").text
    assert "in the organization acme <code>org_1</code>" in page
    assert "in the organization" not in sign_in(console, "user_alone").get("/console/account").text
