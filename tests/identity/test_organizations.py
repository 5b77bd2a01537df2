"""The organization in a token: as Clerk's own SDK reads it, by a mapping of claims, and never partly."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from app.identity.clerk import clerk_membership
from app.identity.errors import Unauthenticated
from app.identity.issuer import CLERK, OrganizationClaims
from app.identity.org_facts import is_org_fact
from app.identity.organization import Organization, OrganizationMembership
from app.identity.principal import Principal
from app.policy.engine.snapshot import Snapshot
from tests.identity.test_several_issuers import access_token, trusted, trusting
from tests.policy.small import snapshot
from tests.support.clerk_tokens import RECORDED, session_claims
from tests.support.issuer import LiveIssuer

MAPPED = OrganizationClaims(("org_id",), ("org", "role"), ("org", "slug"), ("org", "permissions"))
V2: dict[str, Any] = {
    "v": 2,
    "fea": "o:dashboard,o:teams",
    "o": {"id": "org_1", "rol": "admin", "per": "manage,read", "fpm": "3,2"},
}
V1: dict[str, Any] = {
    "org_id": "org_1",
    "org_role": "org:admin",
    "org_slug": "acme",
    "org_permissions": ["org:teams:read"],
}

ODD: tuple[Any, ...] = ("org_1", ["org_1"], 7, True, {}, "")


def with_o(**changes: Any) -> dict[str, Any]:
    """The claims of version 2 with a change of `o`."""
    return {**V2, "o": {name: value for name, value in {**V2["o"], **changes}.items() if value is not ...}}


def test_a_thousand_session_tokens_are_read_as_by_clerks_own_sdk() -> None:
    recorded = json.loads(RECORDED.read_text())
    tokens = session_claims()
    assert len(recorded) == len(tokens) == 1_000
    for claims, (identity, role, slug, permissions) in zip(tokens, recorded, strict=True):
        found = clerk_membership(claims)
        if identity is None:
            assert found is None, claims
            continue
        assert found is not None
        organization = found.organization
        assert (organization.id, organization.slug) == (identity, slug or ""), claims
        assert organization.role == (role or "").removeprefix("org:"), claims
        assert sorted(f"org:{permission}" for permission in found.permissions) == permissions, claims


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({}, None),
        ({"v": 1}, None),
        ({"v": 2, "fea": "u:x", "pla": "u:free"}, None),
        ({"v": 2, "o": None, "org_id": "org_1"}, None),
        ({"org_permissions": [], "org_role": ""}, None),
        (V1, OrganizationMembership(Organization("org_1", "admin", "acme"), ["teams:read"])),
        (
            V2,
            OrganizationMembership(
                Organization("org_1", "admin"), ("dashboard:manage", "dashboard:read", "teams:read")
            ),
        ),
        (
            {**V2, "fea": "u:x,o:a, uo:b"},
            OrganizationMembership(Organization("org_1", "admin"), ("a:manage", "a:read", "b:read")),
        ),
        (with_o(per=..., fpm=...), OrganizationMembership(Organization("org_1", "admin"), ())),
        (with_o(per="", fpm="0,0"), OrganizationMembership(Organization("org_1", "admin"), ())),
        (with_o(fpm="1"), OrganizationMembership(Organization("org_1", "admin"), ("dashboard:manage",))),
    ],
)  # fmt: skip
def test_both_versions_of_a_session_token(claims: dict[str, Any], expected: OrganizationMembership | None) -> None:
    assert clerk_membership(claims) == expected


@pytest.mark.parametrize(
    "claims",
    [
        *({**V2, "v": version} for version in (3, 0, -1, True, "2", 2.0, None, [2])),
        *({**V2, "o": organization} for organization in ODD),
        *(with_o(id=identity) for identity in (..., None, "", 7, "a b", "a|b", "a,b", "*", "\u0430", "-a", "x" * 201)),
        *(with_o(rol=role) for role in (7, ["admin"], "a b", "a|b", "*", "x" * 201)),
        *(with_o(slg=slug) for slug in (7, "a\nb", "x" * 201)),
        *(with_o(fpm=mask) for mask in ("3,2,1", "4,2", "-1", "3,", "3,,2", "0x3", "3.0", "\u0663", 3, ["3"])),
        with_o(fpm="1" * 201),
        *(with_o(per=names) for names in ("", ..., "manage,", ",", 7, ["manage"], "manage")),
        *({**V2, "fea": features} for features in ("dashboard,o:teams", "o:", "o:a,", "x:a,o:b", 7, ["o:a"])),
        *({**V2, "fea": features} for features in ("o:dashboard", "", None)),
        *({**V1, "org_id": identity} for identity in (None, "", 7, "a b", "a|b")),
        *({**V1, "org_role": role} for role in (7, "org:", "org:a b", ["org:admin"])),
        *({**V1, "org_slug": slug} for slug in (7, "a\nb")),
        *({**V1, "org_permissions": stated} for stated in ("org:teams:read", 7, ["a", 7], {"a": 1}, [None])),
        *({name: value} for name, value in V1.items() if name != "org_id"),
    ],
)  # fmt: skip
def test_a_malformed_organization_refuses_the_token(claims: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated) as refused:
        clerk_membership(claims)
    assert refused.value.code == "malformed_organization"


async def member(issuer: LiveIssuer, token: str, **fields: Any) -> Principal:
    """The principal of a token whose issuer states organizations."""
    async with trusting(replace(trusted("first", issuer), **fields)) as (jwt, _):
        return await jwt.verify(token)


@pytest.mark.anyio
async def test_a_member_has_facts_and_permissions(issuer: LiveIssuer) -> None:
    found = await member(issuer, issuer.token(permissions=["a:read"], **V2), organizations=CLERK)
    assert found.organization == Organization("org_1", "admin")
    assert found.held == {
        *("anyone", "auth:jwt", "user:user_test", "org:org_1", "org-role:admin"),
        *("a:read", "dashboard:manage", "dashboard:read", "teams:read"),
    }
    plain = await member(issuer, issuer.token(permissions=["a:read"], **V2))
    assert plain.organization is None
    assert plain.held == {"anyone", "auth:jwt", "user:user_test", "a:read"}


@pytest.mark.anyio
async def test_a_token_never_states_a_fact_of_another_organization(issuer: LiveIssuer) -> None:
    stated = [
        "org:org_2",
        "org-role:admin",
        "org:role:admin",
        "org:user:root",
        "org:org:org_2",
        "org:anyone",
        "org:a:read",
    ]
    for claims in ({"permissions": stated}, {**V1, "org_role": None, "org_permissions": stated, "permissions": stated}):
        found = await member(issuer, issuer.token(**claims), organizations=CLERK)
        facts = {grant for grant in found.held if grant.startswith(("org:", "org-role:", "role:", "user:"))}
        assert facts - {"org:org_1"} == {"user:user_test"}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({}, None),
        ({"org": {}}, None),
        ({"org": {"role": "", "permissions": []}}, None),
        ({"org_id": "a@b.example"}, Organization("a@b.example")),
        ({"org_id": "7", "org": {"role": "r", "slug": "s p"}}, Organization("7", "r", "s p")),
        ({"org_id": "7", "org": {"permissions": "a:read b:read"}}, Organization("7")),
        ({"org_id": 7}, "malformed_organization"),
        ({"org_id": ""}, "malformed_organization"),
        ({"org_id": ["7"]}, "malformed_organization"),
        ({"org": {"role": "r"}}, "malformed_organization"),
        ({"org": {"permissions": ["a:read"]}}, "malformed_organization"),
        ({"org_id": "7", "org": {"role": ["r"]}}, "malformed_organization"),
        ({"org_id": "7", "org": {"permissions": {"a:read": True}}}, "malformed_organization"),
        ({"org_id": "7", "org": {"permissions": ["a:read", 7]}}, "malformed_organization"),
    ],
)
async def test_other_claims_are_mapped(issuer: LiveIssuer, claims: dict[str, Any], expected: Any) -> None:
    token = issuer.token(**claims)
    if isinstance(expected, str):
        with pytest.raises(Unauthenticated) as refused:
            await member(issuer, token, organizations=MAPPED)
        assert refused.value.code == expected
        return
    assert (await member(issuer, token, organizations=MAPPED)).organization == expected


@pytest.mark.anyio
async def test_organizations_of_two_issuers_are_distinct(issuer: LiveIssuer, untrusted_issuer: LiveIssuer) -> None:
    first, second = trusted("first", issuer), trusted("partner", untrusted_issuer)
    async with trusting(*(replace(each, organizations=CLERK) for each in (first, second))) as (jwt, _):
        ours, theirs = await jwt.verify(issuer.token(**V1)), await jwt.verify(untrusted_issuer.token(**V1))
        assert "org:org_1" in ours.held and "org:org_1" not in theirs.held
        assert "org-role:admin" in ours.held and "org-role:admin" not in theirs.held
        assert theirs.organization == Organization("partner:org_1", "partner:admin", "acme")
        for claim in ({"org_id": "partner:org_1"}, {"org_role": "org:partner:admin"}):
            with pytest.raises(Unauthenticated) as refused:
                await jwt.verify(issuer.token(**{**V1, **claim}))
            assert refused.value.code == "malformed_organization"


@pytest.mark.anyio
async def test_rows_can_name_every_organization_with_its_prefix(
    untrusted_issuer: LiveIssuer, issuer: LiveIssuer
) -> None:
    second = replace(trusted("partner", untrusted_issuer), organizations=CLERK)
    async with trusting(trusted("first", issuer), second) as (jwt, _):
        for claim in ("org_id", "org_role"):
            longest = await jwt.verify(untrusted_issuer.token(**{**V1, claim: "x" * 192}))
            assert all(map(is_org_fact, longest.organization.facts if longest.organization else ()))
            with pytest.raises(Unauthenticated) as refused:
                await jwt.verify(untrusted_issuer.token(**{**V1, claim: "x" * 193}))
            assert refused.value.code == "malformed_organization"


@pytest.mark.anyio
async def test_a_deny_about_an_organization_applies_to_its_members_apps(issuer: LiveIssuer) -> None:
    rows = ["p, a:read, /x, GET, allow", "p, app-kind:external, scope:a:read, ask, allow"]
    claims = {**V1, "permissions": ["a:read"], "client_id": "web", "scope": "a:read"}
    app = await member(issuer, access_token(issuer, **claims), organizations=CLERK, is_delegating=True)
    assert app.method == "oauth"
    assert "on-behalf::org:org_1" in app.held and "org:org_1" not in app.held
    assert decide(snapshot(*rows), app)
    assert not decide(snapshot(*rows, "p, org:org_1, /x, GET, deny"), app)
    assert not decide(snapshot(*rows, "p, org-role:admin, /x, GET, deny"), app)
    assert decide(snapshot(*rows, "p, org:org_2, /x, GET, deny"), app)


def decide(policy: Snapshot, principal: Principal) -> bool:
    return policy.decide(principal.held, "/x", "GET").allowed


@pytest.mark.anyio
@pytest.mark.parametrize("organizations", [CLERK, MAPPED, None])
async def test_no_subject_is_that_of_an_organization(issuer: LiveIssuer, organizations: Any) -> None:
    for subject in ("org:org_1", "org:", "org:org:org_1"):
        with pytest.raises(Unauthenticated) as refused:
            await member(issuer, issuer.token(sub=subject), organizations=organizations)
        assert refused.value.code == "reserved_sub"
        found = await member(issuer, issuer.token(sub=subject), subject_prefix="partner:", organizations=organizations)
        assert found.subject == f"partner:{subject}"
    for subject in ("org", "org-1", "organization:1", "user:org:1", "ORG:1", "org|1"):
        assert (await member(issuer, issuer.token(sub=subject), organizations=organizations)).subject == subject


@pytest.mark.anyio
async def test_the_permissions_in_the_organization_are_known_apart(issuer: LiveIssuer) -> None:
    found = await member(issuer, issuer.token(permissions=["a:read"], **V1), organizations=CLERK)
    assert found.organization is not None
    assert found.organization.permissions == ("teams:read",)
    both = OrganizationClaims(("org_id",), permissions=("permissions",))
    found = await member(issuer, issuer.token(permissions=["a:read"], org_id="org_1"), organizations=both)
    assert found.organization is not None
    assert (found.organization.permissions, "a:read" in found.held) == (("a:read",), True)
    alone = await member(issuer, issuer.token(permissions=["a:read"]), organizations=both)
    assert (alone.organization, "a:read" in alone.held) == (None, True), "a user in no organization"
