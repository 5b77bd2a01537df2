"""The grants of the subject of an evaluation: no facts of callers, and no anonymous subject."""

from __future__ import annotations

import pytest

from app.identity.api_keys import KeyRecord
from app.identity.external_app import external_app
from app.identity.organization import Organization
from app.identity.principal import delegated_principal
from app.policy.engine.resolved_subject import (
    AppConsent,
    NoSuchSubject,
    StoredSubjects,
    evaluation_context,
    principal_of,
    resolve_subject,
)
from app.policy.engine.target import Target
from app.policy.language.entities import Entity
from tests.policy.engine.test_delegation import App
from tests.policy.small import snapshot

KNOWN = {
    ("user", "u"): Entity("e.yaml", 1, "user", "u", {"permissions": ["a:read"], "role": "x"}),
    ("service", "s"): Entity("e.yaml", 2, "service", "s", {"permissions": ["b:read"]}),
    ("key", "7"): Entity("e.yaml", 3, "key", "7", {"permissions": ["c:read"], "role": "x"}),
}
KEYS = StoredSubjects(
    {"7": KeyRecord(7, "owner", "live", frozenset({"a:write"}), b"", None, None)},
    ("live",),
)


@pytest.mark.parametrize(
    ("kind", "identity", "sent", "held", "properties"),
    [
        ("user", "u", {}, "anyone auth:jwt user:u a:read", {"permissions": ["a:read"], "role": "x"}),
        ("identity", "u", {}, "anyone auth:jwt user:u a:read", {"permissions": ["a:read"], "role": "x"}),
        ("user", "v", {}, "anyone auth:jwt user:v", {}),
        (
            "user",
            "u",
            {"permissions": ["b:read"]},
            "anyone auth:jwt user:u b:read",
            {"permissions": ["b:read"], "role": "x"},
        ),
        (
            "user",
            "v",
            {"permissions": ["role:admin", "user:u", "key:7", "auth:api_key"]},
            "anyone auth:jwt user:v",
            None,
        ),
        ("service", "s", {}, "anyone b:read", {"permissions": ["b:read"]}),
        ("service", "u", {"permissions": ["a:read", "role:admin"]}, "anyone a:read", None),
        ("anonymous", "", {"permissions": ["a:read"]}, "anyone auth:anonymous", None),
        ("anonymous", "x", {}, "anyone auth:anonymous", {}),
    ],
)
def test_a_subject_holds_its_permissions_and_the_facts_of_its_kind(
    kind: str, identity: str, sent: dict[str, object], held: str, properties: dict[str, object] | None
) -> None:
    found = resolve_subject(kind, identity, sent, KNOWN, KEYS)
    assert (found.type, found.id, found.held) == (kind, identity, frozenset(held.split()))
    assert found.properties == (sent if properties is None else properties)
    assert (found.owner, found.environment) == ("", "")


@pytest.mark.parametrize(
    ("kind", "identity"), [("user", ""), ("identity", ""), ("service", ""), ("key", "8"), ("key", "")]
)
def test_an_anonymous_caller_is_no_subject(kind: str, identity: str) -> None:
    with pytest.raises(NoSuchSubject) as refused:
        resolve_subject(kind, identity, {"permissions": ["a:read"]}, KNOWN, KEYS)
    assert str(refused.value) == (
        "the subject has no id"
        if kind != "key"
        else "the key is unknown, revoked, expired, or of an environment that is not accepted"
    )


def test_a_key_holds_its_stored_scopes_and_nothing_that_is_sent() -> None:
    found = resolve_subject("key", "7", {"permissions": ["b:read"]}, KNOWN, KEYS)
    assert found.held >= {"anyone", "auth:api_key", "env:live", "key:7"}
    assert found.held.isdisjoint({"b:read", "c:read"})
    assert (found.owner, found.environment) == ("owner", "live")
    principal = principal_of(found)
    assert (principal.subject, principal.method, principal.key_id, principal.environment) == (
        "owner",
        "api_key",
        7,
        "live",
    )


@pytest.mark.parametrize(
    ("kind", "subject", "method"),
    [
        ("user", "u", "jwt"),
        ("identity", "u", "jwt"),
        ("service", "service:u", "anonymous"),
        ("anonymous", "anonymous:u", "anonymous"),
    ],
)
def test_another_type_of_subject_is_neither_a_user_nor_a_key(kind: str, subject: str, method: str) -> None:
    principal = principal_of(resolve_subject(kind, "u", {}, {}))
    assert (principal.subject, principal.method, principal.key_id) == (subject, method, None)


CONSENTS = StoredSubjects(
    consents={("acme", "ann"): AppConsent(App("acme"), frozenset({"a:read", "b:read"}), frozenset({"a:read"}))}
)


@pytest.mark.parametrize(
    ("sent", "scopes"),
    [
        ({}, {"a:read", "b:read"}),
        ({"scope": "a:read"}, {"a:read"}),
        ({"scope": ["a:read", "c:read"]}, {"a:read"}),
        ({"scope": "c:read"}, set()),
        ({"scope": None}, set()),
        ({"permissions": ["c:read"], "scope": "a:read app:other user:eve"}, {"a:read"}),
    ],
)
def test_an_app_holds_what_the_database_says_and_no_more_than_its_token(
    sent: dict[str, object], scopes: set[str]
) -> None:
    found = resolve_subject("app", "acme", {"user": "ann", **sent}, KNOWN, CONSENTS)
    assert found.held == delegated_principal("ann", App("acme"), scopes, ["a:read"]).held
    principal = principal_of(found)
    assert (principal.subject, principal.method, principal.client_id) == ("ann", "oauth", "acme")
    policy = snapshot(
        "p, auth:oauth, /x, GET, allow, subject.client_id == 'acme' && subject.id == 'ann' && subject.type == 'app'"
    )
    target = Target("GET", "/x", "/x")
    context = evaluation_context(policy, found, target, resource=("route", "/x", {}), action={}, context={})
    assert policy.decide(found.held, "/x", "GET", context)


@pytest.mark.parametrize(
    ("sent", "scopes", "permissions"),
    [
        ({}, (), ()),
        ({"scope": "a:read b:read", "permissions": ["a:read"]}, ("a:read", "b:read"), ("a:read",)),
        ({"scope": ["a:read"], "permissions": 7}, ("a:read",), ()),
        ({"scope": "a:read role:editor user:eve", "permissions": "auth:jwt org:o key:1"}, ("a:read",), ()),
    ],
)
def test_an_app_of_another_authorization_server_holds_what_its_token_says(
    sent: dict[str, object], scopes: tuple[str, ...], permissions: tuple[str, ...]
) -> None:
    stored = StoredSubjects(consents=CONSENTS.consents, authorization_servers=("partner",))
    found = resolve_subject("app", "partner/web", {"user": "partner:ann", **sent}, KNOWN, stored)
    app = external_app("partner", "web")
    assert found.held == delegated_principal("partner:ann", app, scopes, permissions).held
    assert principal_of(found).client_id == "partner/web"
    local = resolve_subject("app", "acme", {"user": "ann", **sent}, KNOWN, stored)
    assert local.held <= delegated_principal("ann", App("acme"), ("a:read", "b:read"), ("a:read",)).held
    for client_id in ("other/web", "acme/web", "partner", "https://partner/web"):
        with pytest.raises(NoSuchSubject):
            resolve_subject("app", client_id, {"user": "ann", **sent}, KNOWN, stored)


@pytest.mark.parametrize("client_id", ["partner/", "partner/a b", "partner/a|b", "partner/a,b", "partner/" + "a" * 600])
def test_an_app_of_another_authorization_server_that_no_row_can_name_is_none(client_id: str) -> None:
    stored = StoredSubjects(authorization_servers=("partner",))
    with pytest.raises(NoSuchSubject):
        resolve_subject("app", client_id, {"user": "partner:ann", "scope": "a:read"}, KNOWN, stored)


def test_the_user_of_an_app_acts_in_the_organization_of_the_last_sign_in() -> None:
    member = Organization("org_1", "admin", "acme")
    consent = AppConsent(App("acme"), frozenset({"a:read"}), frozenset({"a:read"}), member)
    found = resolve_subject("app", "acme", {"user": "ann"}, KNOWN, StoredSubjects(consents={("acme", "ann"): consent}))
    assert {"on-behalf::org:org_1", "on-behalf::org-role:admin"} <= found.held
    condition = "subject.org.id == 'org_1' && subject.org.role == 'admin'"
    policy = snapshot(f"p, auth:oauth, /x, GET, allow, {condition}", "p, org:org_1, /x, POST, deny")
    target = Target("GET", "/x", "/x")
    context = evaluation_context(policy, found, target, resource=("route", "/x", {}), action={}, context={})
    assert policy.decide(found.held, "/x", "GET", context)
    assert policy.decide(found.held, "/x", "POST", context).rule, "a deny about the organization applies"
    assert principal_of(found).organization == member


@pytest.mark.parametrize(
    ("client_id", "sent"),
    [
        ("acme", {}), ("acme", {"user": ""}), ("acme", {"user": 7}), ("acme", {"user": "bob"}),
        ("other", {"user": "ann"}), ("", {"user": "ann"}), ("acme", {"user": "ann\x00"}),
    ],
)  # fmt: skip
def test_an_app_without_the_consent_of_a_user_is_no_subject(client_id: str, sent: dict[str, object]) -> None:
    with pytest.raises(NoSuchSubject):
        resolve_subject("app", client_id, sent, KNOWN, CONSENTS)


@pytest.mark.parametrize(
    ("act", "party"),
    [
        ({"sub": "support", "iss": "https://i.example"}, "support"),
        ({"sub": ""}, "unknown"),
        ({}, "unknown"),
        ("support", "unknown"),
        (0, "unknown"),
        (None, None),
    ],
)
@pytest.mark.parametrize(
    ("kind", "identity", "is_asked"),
    [
        ("user", "u", True),
        ("identity", "u", True),
        ("app", "partner/web", True),
        ("app", "acme", True),
        ("key", "7", False),
        ("service", "s", False),
    ],
)
def test_a_service_says_which_party_acts_as_a_user(
    kind: str, identity: str, act: object, party: str | None, *, is_asked: bool
) -> None:
    stored = StoredSubjects(KEYS.records, KEYS.environments, CONSENTS.consents, ("partner",))
    sent = {"act": act, "user": "ann", "scope": "a:read", "permissions": ["a:read"]}
    found = resolve_subject(kind, identity, sent, KNOWN, stored)
    policy = snapshot(
        "p, anyone, /x, GET, allow", "p, anyone, /x, GET, deny, has(subject.act.sub) && subject.act.sub != 'zoe'"
    )
    context = evaluation_context(
        policy, found, Target("GET", "/x", "/x"), resource=("route", "/x", {}), action={}, context={}
    )
    acts = is_asked and party is not None
    assert bool(policy.decide(found.held, "/x", "GET", context)) is not acts
    assert principal_of(found).impersonator == (party if acts else None)


def test_an_attribute_of_the_policy_says_of_no_user_that_another_party_acts() -> None:
    known = {("user", "u"): Entity("e.yaml", 1, "user", "u", {"act": {"sub": "support"}})}
    assert principal_of(resolve_subject("user", "u", {"more": 1}, known)).impersonator is None
