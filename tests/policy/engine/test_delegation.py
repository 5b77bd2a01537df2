"""An app on behalf of a user: two sides that must both be allowed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from app.identity.app_facts import AppKind, InvalidApp
from app.identity.principal import Principal, delegated_principal, is_fact, key_principal, user_principal
from app.policy.engine.app_scopes import may_ask, scopes_for
from app.policy.engine.decision import Decision
from app.policy.engine.snapshot import Snapshot
from app.policy.language.reason import Reason
from app.policy.language.when.context import subject_of
from tests.policy.small import snapshot

READ, WRITE = "p, a:read, /x, GET, allow", "p, a:write, /x, POST, allow"
ASKS = ("p, app-kind:registered, scope:a:read, ask, allow", "p, app-kind:registered, scope:a:write, ask, allow")
EDITOR = ("g, user:ann, role:editor", "g, role:editor, a:read", "g, role:editor, a:write")


@dataclass(frozen=True)
class App:
    client_id: str = "acme"
    kind: AppKind = "registered"
    host: str = "acme.example"


def delegated(*scopes: str, app: App | None = None, user: str = "ann", has: tuple[str, ...] = ()) -> Principal:
    return delegated_principal(user, app or App(), scopes, has)


def decided(policy: Snapshot, caller: Principal, action: str = "GET") -> Decision:
    first = policy.decide(caller.held, "/x", action)
    assert policy.decide(caller.held, "/x", action) is first, "a request seen before is looked up"
    return first


@pytest.mark.parametrize(
    ("scopes", "has", "allowed"),
    [
        (("a:read",), ("a:read",), True),
        (("a:read",), (), False),
        ((), ("a:read",), False),
        (("a:write",), ("a:read",), False),
        (("a:read", "a:write"), ("a:read",), True),
    ],
)
def test_both_sides_must_be_allowed(scopes: tuple[str, ...], has: tuple[str, ...], *, allowed: bool) -> None:
    decision = decided(snapshot(READ, WRITE, *ASKS), delegated(*scopes, has=has))
    assert decision.allowed is allowed


def test_the_roles_of_the_user_count_for_the_user_alone() -> None:
    policy = snapshot(READ, WRITE, *ASKS, *EDITOR)
    assert decided(policy, delegated("a:read"))
    assert not decided(policy, delegated("a:read"), "POST"), "the role has a:write, the consent has not"
    assert not decided(policy, delegated("a:read", user="bob"))
    assert policy.effective(delegated("a:read").held) >= {"a:read", "anyone", "auth:oauth"}
    assert not policy.effective(delegated("a:read").held) & {"a:write", "role:editor", "user:ann"}


def test_a_scope_counts_only_while_a_row_lets_the_app_ask_for_it() -> None:
    caller = delegated("a:read", has=("a:read",))
    assert decided(snapshot(READ, *ASKS), caller)
    for rows in (
        (),
        ("p, app-kind:document, scope:a:read, ask, allow",),
        ("p, app:other, scope:a:read, ask, allow",),
        (*ASKS, "p, app:acme, scope:a:read, ask, deny"),
        (*ASKS, "p, app-host:acme.example, scope:a:read, ask, deny"),
        (*ASKS, "p, auth:oauth, scope:a:read, ask, deny"),
    ):
        decision = decided(snapshot(READ, *rows), caller)
        assert not decision
        assert decision.missing == ("a:read",)
        assert decision.scope == (), "the app may not ask for it"


@pytest.mark.parametrize(
    "deny",
    [
        "user:ann",
        "app:acme",
        "app-kind:registered",
        "app-host:acme.example",
        "auth:oauth",
        "anyone",
        "role:editor",
        "a:read",
        "user:ann app:acme",
    ],
)
def test_a_deny_that_applies_to_either_side_denies(deny: str) -> None:
    rows = (READ, *ASKS, *EDITOR)
    assert decided(snapshot(*rows), delegated("a:read"))
    decision = decided(snapshot(*rows, f"p, {deny}, /x, GET, deny"), delegated("a:read"))
    assert not decision
    assert decision.scope == ()
    assert decision.rule is not None
    assert decision.rule.effect == "deny"


@pytest.mark.parametrize("needs", ["auth:jwt", "auth:jwt a:read", "auth:api_key", "user:ann", "role:editor"])
def test_no_side_is_a_signed_in_user_a_key_or_holds_a_role_alone(needs: str) -> None:
    policy = snapshot(f"p, {needs}, /x, GET, allow", *ASKS, *EDITOR)
    assert not decided(policy, delegated("a:read", "a:write", has=("a:read", "a:write")))


def test_only_what_consent_would_help_is_named_as_scope() -> None:
    policy = snapshot(READ, WRITE, ASKS[0], "p, app:acme, scope:a:write, ask, allow", *EDITOR)
    lacking = decided(policy, delegated("a:read"), "POST")
    assert (lacking.side, lacking.reason, lacking.scope) == ("app", Reason.NOT_HELD, ("a:write",))
    other = decided(policy, delegated("a:read", app=App("other")), "POST")
    assert (other.side, other.missing, other.scope) == ("app", ("a:write",), ())
    both = decided(policy, delegated("a:read", user="bob"), "POST")
    assert (both.side, both.reason, both.missing, both.scope) == ("user", Reason.USER_SIDE, ("a:write",), ())
    user = decided(policy, delegated("a:write", user="bob"), "POST")
    assert (user.side, user.reason, user.missing, user.scope) == ("user", Reason.USER_SIDE, ("a:write",), ())


STATED = (
    "app:acme", "app-kind:registered", "app-host:acme.example", "auth:oauth", "auth:jwt", "user:ann", "role:editor",
    "consented::a:read", "on-behalf::a:read", "on-behalf::user:ann", "on-behalf::anyone", "anyone", "key:1", "env:live",
)  # fmt: skip


@pytest.mark.parametrize("fact", STATED)
def test_no_token_key_scope_or_consent_states_a_fact(fact: str) -> None:
    assert is_fact(fact)
    own = {"anyone", "auth:jwt", "user:bob"}
    assert user_principal("bob", [fact], {}).held == own
    assert key_principal("bob", 1, "live", [fact]).held == {"anyone", "auth:api_key", "env:live", "key:1"}
    plain = delegated(user="bob").held
    assert delegated(fact, user="bob", has=(fact,)).held == plain


@pytest.mark.parametrize(
    "client_id",
    [
        "",
        "a b",
        "a|b",
        "a,b",
        "a#b",
        "a*",
        'a"b',
        "a\tb",
        "a\nb",
        "ä",
        "a\u202eb",
        "a" * 513,
        "https://App.example/c",
        "https://user@app.example/c",
        "HTTPS://app.example/c",
        "https:///c",
        "https://[::1/c",
        "https://app.example./c",
    ],
)
def test_an_app_that_no_row_can_name_is_no_caller(client_id: str) -> None:
    with pytest.raises(InvalidApp):
        delegated(app=App(client_id))


@pytest.mark.parametrize(
    "host", ["Acme.example", "acme.example.", "acme example", "acme|b", "*", "a,b", "münchen.example", "-a"]
)
def test_an_app_on_a_host_that_no_row_can_name_is_no_caller(host: str) -> None:
    with pytest.raises(InvalidApp):
        delegated(app=App(host=host))


@pytest.mark.parametrize(
    "client_id",
    [
        "user:ann",
        "app-kind:registered",
        "anyone",
        "auth:jwt",
        "role:editor",
        "https://app.example/client.json?v=1",
        "https://app.example:8443/c",
        "https://[::1]/c",
        "on-behalf::user:ann",
        "consented::a:write",
        "acme:x",
    ],
)
def test_an_id_that_looks_like_another_fact_is_only_an_id(client_id: str) -> None:
    caller = delegated("a:read", user="bob", has=("a:read",), app=App(client_id))
    rows = (READ, WRITE, *ASKS, *EDITOR, "p, user:ann, /y, GET, allow")
    assert decided(snapshot(*rows), caller)
    assert not decided(snapshot(*rows), caller, "POST")
    assert not snapshot(*rows).decide(caller.held, "/y", "GET")
    assert not decided(snapshot(*rows, f"p, app:{client_id}, /x, GET, deny"), caller)
    assert decided(snapshot(*rows, "p, app:acme, /x, GET, deny"), caller)


def test_an_app_acts_on_behalf_of_a_user() -> None:
    with pytest.raises(InvalidApp):
        delegated("a:read", user="")
    grants = {"anyone", "auth:oauth", "app:acme", "app-kind:registered"}
    policy = snapshot(READ, "g, app:acme, a:read", *ASKS)
    assert policy.decide(frozenset(grants), "/x", "GET"), "a row opens it to the app, whatever its user"
    assert not snapshot(READ, *ASKS).decide(frozenset({*grants, "a:read"}), "/x", "GET"), (
        "no side has a plain permission"
    )


def test_what_an_app_may_ask_for() -> None:
    policy = snapshot(
        READ,
        WRITE,
        *ASKS,
        "p, app:acme, scope:a:write, ask, deny",
        "p, app:https://h.example/c, scope:b:read, ask, allow",
    )
    assert scopes_for(policy, App()) == ("a:read",)
    assert scopes_for(policy, App("other")) == ("a:read", "a:write")
    assert scopes_for(policy, App("https://h.example/c", "document", "h.example")) == ("b:read",)
    assert scopes_for(policy, App("any", "dynamic", "")) == ()
    assert may_ask(policy, App(), "a:read")
    for scope in ("a:write", "b:read", "c:read", "", "scope:a:read", "anyone", "a:read a:write"):
        assert not may_ask(policy, App(), scope)
    with pytest.raises(InvalidApp):
        scopes_for(policy, App("a b"))


def test_each_side_has_its_own_grants_in_conditions() -> None:
    condition = "'role:editor' in subject.permissions"
    policy = snapshot(READ, *ASKS, *EDITOR, f"p, auth:oauth, /x, GET, deny, {condition}")
    held = delegated("a:read").held
    subject = {"type": "user", "id": "ann", "permissions": policy.effective(held)}
    assert not policy.decide(held, "/x", "GET", {"subject": subject}), "the user has the role, and a row denies it"
    for_all = {"subject": {**subject, "id": "bob"}}
    bob = delegated("a:read", user="bob", has=("a:read",)).held
    assert policy.decide(bob, "/x", "GET", for_all)
    allowing = snapshot(f"p, auth:oauth, /x, GET, allow, {condition}", *EDITOR)
    assert not allowing.decide(held, "/x", "GET", {"subject": subject}), "the app has not"


def test_a_condition_about_users_does_not_open_anything_to_their_apps() -> None:
    caller = delegated("a:read", has=("a:read",))
    subject = subject_of(caller, caller.held)
    assert (subject["type"], subject["id"], subject["method"], subject["client_id"]) == ("app", "ann", "oauth", "acme")
    rows = (READ.replace("/x", "/y"), *ASKS, "p, a:read, /x, GET, allow, subject.type == 'user' && subject.id == 'ann'")
    assert not snapshot(*rows).decide(caller.held, "/x", "GET", {"subject": subject})
    user = user_principal("ann", ["a:read"], {})
    assert snapshot(*rows).decide(user.held, "/x", "GET", {"subject": subject_of(user, user.held)})


def test_only_the_subject_has_the_grants_of_a_side() -> None:
    policy = snapshot("p, auth:oauth, /x, GET, allow, !has(context.permissions)", *EDITOR)
    assert policy.decide(delegated("a:read").held, "/x", "GET", {"context": {"tenant": "t"}, "subject": {}})
    assert not policy.decide(delegated("a:read").held, "/x", "GET", {"context": {"permissions": []}, "subject": {}})
