"""Principals of users, keys and anonymous callers, and facts that only the server states."""

from __future__ import annotations

import pytest

from app.audit.record import Unverified, decision_key
from app.identity.impersonation import Impersonated, refuse_impersonation
from app.identity.org_facts import is_org_fact, organization_in, organization_of_owner, owner_of_keys
from app.identity.organization import Organization, as_json, from_json
from app.identity.permission_claim import parse_permissions
from app.identity.principal import (
    ANONYMOUS,
    Principal,
    is_fact,
    key_principal,
    organization_key_principal,
    stored_act,
    user_principal,
)
from app.policy.language.when.condition import Condition, compile_condition
from app.policy.language.when.context import subject_of

FACTS = ["auth:api_key", "env:live", "user:someone", "key:1", "role:admin", "scope::a:read", "owner::a:read", "anyone"]
CLAIMED = ["catalog:read", *FACTS]


def test_a_user_holds_permissions_and_the_facts_of_a_user() -> None:
    principal = user_principal("user_1", ["catalog:read"], {"sub": "user_1", "jti": "t1"})
    assert principal.held == {"catalog:read", "anyone", "auth:jwt", "user:user_1"}
    assert (principal.method, principal.subject, principal.token_id) == ("jwt", "user_1", "t1")
    assert (principal.key_id, principal.environment) == (None, None)


def test_a_key_holds_its_scopes_and_no_facts_of_its_owner() -> None:
    principal = key_principal("user_1", 7, "test", ["catalog:read"])
    assert principal.held == {"catalog:read", "anyone", "auth:api_key", "env:test", "key:7"}
    assert (principal.method, principal.key_id, principal.environment) == ("api_key", 7, "test")


def test_an_anonymous_caller_holds_anyone() -> None:
    assert ANONYMOUS.held == {"anyone", "auth:anonymous"}
    assert (ANONYMOUS.subject, dict(ANONYMOUS.claims)) == ("", {})


@pytest.mark.parametrize("principal", [user_principal("u", CLAIMED, {}), key_principal("u", 9, "test", CLAIMED)])
def test_a_fact_in_a_token_is_ignored(principal: Principal) -> None:
    own = {"jwt": {"auth:jwt", "user:u"}, "api_key": {"auth:api_key", "env:test", "key:9"}}[principal.method]
    assert principal.held == {"catalog:read", "anyone", *own}


@pytest.mark.parametrize("fact", FACTS)
def test_only_the_server_states_a_fact(fact: str) -> None:
    assert is_fact(fact)
    assert fact == "anyone" or fact not in user_principal("u", [fact], {}).held


@pytest.mark.parametrize(
    ("token_grants", "held"),
    [
        (None, {"a:read", "b:read"}),
        (["a:read", "b:read", "c:read"], {"a:read", "b:read"}),
        (["a:read", "c:read"], {"a:read", "scope::b:read", "owner::user:u", "owner::a:read", "owner::c:read"}),
        ([], {"scope::a:read", "scope::b:read", "owner::user:u"}),
        (["role:admin", "anyone", "user:root"], {"scope::a:read", "scope::b:read", "owner::user:u"}),
    ],
)
def test_a_scope_that_the_token_of_the_owner_did_not_state_is_limited(
    token_grants: list[str] | None, held: set[str]
) -> None:
    principal = key_principal("u", 9, "test", ["a:read", "b:read", "role:admin"], token_grants=token_grants)
    assert principal.held == {*held, "anyone", "auth:api_key", "env:test", "key:9"}


@pytest.mark.parametrize(
    ("stated", "held"),
    [
        (["a:read", "b:read"], {"a:read", "b:read"}),
        (["a:read", "b:read", "org-role:admin"], {"a:read", "b:read"}),
        (["a:read", "c:read"], {"a:read", "scope::b:read", "owner::org:acme", "owner::a:read", "owner::c:read"}),
        (
            ["b:read", "org-role:admin", "org:other", "role:root", "user:root"],
            {"b:read", "scope::a:read", "owner::org:acme", "owner::org-role:admin", "owner::b:read"},
        ),
        ([], {"scope::a:read", "scope::b:read", "owner::org:acme"}),
    ],
)
def test_a_scope_that_the_membership_of_the_issuer_of_a_key_did_not_state_is_limited(
    stated: list[str], held: set[str]
) -> None:
    principal = organization_key_principal("acme", 9, "test", ["a:read", "b:read", "org-role:admin"], stated)
    assert principal.held == {*held, "anyone", "auth:api_key", "env:test", "key:9", "org:acme"}
    assert (principal.subject, principal.organization) == ("org:acme", Organization("acme"))


@pytest.mark.parametrize(
    ("subject", "organization"),
    [
        ("org:acme", "acme"),
        ("org:org:acme", "org:acme"),
        (f"org:{'x' * 200}", "x" * 200),
        (f"org:{'x' * 201}", None),
        ("org:", None),
        ("org:a b", None),
        ("acme", None),
        ("", None),
        ("ORG:acme", None),
    ],
)
def test_the_owner_of_the_keys_of_an_organization(subject: str, organization: str | None) -> None:
    assert organization_of_owner(subject) == organization
    if organization is not None:
        assert owner_of_keys(organization) == subject


@pytest.mark.parametrize(
    ("held", "organization"),
    [
        ('["org:acme"]', "acme"),
        ('["anyone","org:acme","org-role:admin"]', "acme"),
        ('["on-behalf::org:acme"]', "acme"),
        ('["anyone","org-role:admin"]', None),
        ('["owner::org:acme"]', None),
        ('["a\\",\\"org:acme"]', None),
        ('["xorg:acme"]', None),
        ("[]", None),
    ],
)
def test_the_organization_among_what_a_caller_holds(held: str, organization: str | None) -> None:
    assert organization_in(held) == organization


@pytest.mark.parametrize(
    ("grant", "is_fact_of_org"),
    [
        ("org:acme", True),
        ("org-role:admin", True),
        (f"org:{'x' * 200}", True),
        (f"org:{'x' * 201}", False),
        ("org:", False),
        ("org-role:a b", False),
        ("org-role", False),
        ("organization:acme", False),
        ("xorg:acme", False),
    ],
)
def test_whether_a_grant_names_an_organization_or_a_role(grant: str, is_fact_of_org: bool) -> None:
    assert is_org_fact(grant) is is_fact_of_org


def test_an_organization_is_stored_without_its_permissions() -> None:
    acme = Organization("acme", "admin", "the-acme", ("a:read",))
    assert as_json(acme) == {"id": "acme", "role": "admin", "slug": "the-acme"}
    assert from_json(as_json(acme), ["b:read"]) == acme
    for permissions, found in ((["b:read"], ("b:read",)), ([], ()), (None, ())):
        stored = from_json(as_json(acme), permissions)
        assert stored is not None
        assert stored.permissions == found
    assert (as_json(None), from_json(None), from_json(None, ["a:read"])) == (None, None, None)
    assert acme.facts == ("org:acme", "org-role:admin")
    assert Organization("acme").facts == ("org:acme",)


@pytest.mark.parametrize(
    ("act", "stored"),
    [
        ({"iss": "https://i.example", "sub": "user_1", "more": 1}, {"iss": "https://i.example", "sub": "user_1"}),
        ({"iss": 7, "sub": "a\x00b"}, {"sub": "a\ufffdb"}),
        ({"iss": "i" * 256, "sub": "s" * 256}, {"iss": "i" * 255, "sub": "s" * 255}),
        ({}, {"sub": "unknown"}),
        ("user_support", {"sub": "unknown"}),
        (None, None),
    ],
)  # fmt: skip
def test_the_acting_party_is_stored_by_its_issuer_and_subject(act: object, stored: dict[str, str] | None) -> None:
    assert stored_act({"act": act}) == stored
    assert stored_act({}) is None


def test_who_acts_as_another_gets_no_credentials() -> None:
    refuse_impersonation(None)
    for impersonator in ("user_support", ""):
        with pytest.raises(Impersonated, match="You act as another user now"):
            refuse_impersonation(impersonator)


@pytest.mark.parametrize(
    ("claim", "granted"),
    [
        ("a:read b:read", ["a:read", "b:read"]),
        ("  a:read   b:read ", ["a:read", "b:read"]),
        ("a:read\tb:read", ["a:read\tb:read"]),
        ("", []),
        (" ", []),
        (["a:read", "b c"], ["a:read", "b c"]),
        ([], []),
        *((claim, []) for claim in (None, 7, True, ["a:read", 7], [["a:read"]], {"a:read": 1}, ("a:read",))),
    ],
    ids=str,
)
def test_what_a_claim_grants(claim: object, granted: list[str]) -> None:
    assert list(parse_permissions(claim)) == granted


@pytest.mark.parametrize("token_id", [None, 7, ["t"]])
def test_only_a_string_is_the_id_of_a_token(token_id: object) -> None:
    assert user_principal("u", [], {"jti": token_id}).token_id is None


@pytest.mark.parametrize("look_alike", ["Auth:jwt", "\uff41uth:jwt", " auth:jwt", "anyone ", "authority:read"])
def test_a_permission_that_resembles_a_fact_is_a_literal(look_alike: str) -> None:
    assert not is_fact(look_alike)
    assert look_alike in user_principal("u", [look_alike], {}).held


def test_claims_cannot_be_changed_afterwards() -> None:
    stated: dict[str, object] = {"sub": "u"}
    principal = user_principal("u", [], stated)
    stated["sub"] = "another"
    assert principal.claims["sub"] == "u"
    with pytest.raises(TypeError):
        principal.claims["sub"] = "another"  # type: ignore[index]  # must fail


@pytest.mark.parametrize(
    ("act", "impersonator"),
    [
        ({"iss": "https://dashboard.clerk.com", "sub": "user_support"}, "user_support"),  # Clerk
        ({"sub": "https://service16.example.com", "act": {"sub": "https://service77.example.com"}},
         "https://service16.example.com"),  # RFC 8693 section 4.1: the outermost is the current one
        ({"client_id": "support"}, "unknown"),
        ({"sub": 7}, "unknown"),
        ({"sub": ""}, "unknown"),
        ({}, "unknown"),
        ("user_support", "unknown"),
        (["user_support"], "unknown"),
        (False, "unknown"),
        (None, None),
    ],
)  # fmt: skip
def test_who_acts_as_the_subject_is_known(act: object, impersonator: str | None) -> None:
    principal = user_principal("user_a", [], {"act": act})
    assert principal.impersonator == impersonator
    assert user_principal("user_a", [], {}).impersonator is None
    subject = subject_of(principal, principal.held)
    named = {**(act if isinstance(act, dict) else {}), **({"sub": impersonator} if impersonator else {})}
    assert (dict(subject["act"]), subject["client_id"]) == (named, "")
    for text, met in (
        ("true", impersonator is not None),
        ("subject.act.sub == 'user_support'", impersonator == "user_support"),
    ):
        condition = compile_condition(f"has(subject.act.sub) && {text}")
        assert isinstance(condition, Condition)
        assert condition.met({"subject": subject}) is met
    key = decision_key("app", "/x", "GET", principal, Unverified("", "r"))
    assert (key.impersonator, key.client_id) == (impersonator, None)
