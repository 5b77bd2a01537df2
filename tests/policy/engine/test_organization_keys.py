"""The key of an organization holds its scopes while rows give them to the organization, and no role of a person."""

from __future__ import annotations

import pytest

from app.identity.api_keys import KeyRecord, principal_of
from app.identity.organization import Organization
from app.identity.principal import KEY_METHOD, Principal, is_fact, user_principal
from app.keys.owner import organization_of, personal
from app.keys.refusals import NotInOrganization
from app.policy.analysis.beyond_owner import beyond_owner
from app.policy.analysis.contextless import decide_without_context
from app.policy.analysis.explain import explain
from app.policy.analysis.reach import reach
from app.policy.engine.snapshot import Snapshot
from app.policy.language.when.context import subject_of
from tests.policy.small import snapshot

READ, WRITE = "p, a:read, /x, GET, allow", "p, a:write, /x, POST, allow"
MEMBERS = ("g, org:acme, a:read",)
ADMINS = ("g, org-role:admin, role:editor", "g, role:editor, a:write")
GIVEN = snapshot(READ, WRITE, *MEMBERS, *ADMINS)
SCOPES = ("a:read", "a:write")
ACME = Organization("acme", "admin", "acme-inc", ("b:read", "org:acme", "org-role:owner", "user:root"))


def member(*permissions: str, organization: Organization = ACME, subject: str = "ann") -> Principal:
    return user_principal(subject, (*permissions, *organization.permissions), {}, organization=organization)


def record(
    policy: Snapshot = GIVEN, *, scopes: tuple[str, ...] = SCOPES, organization: Organization = ACME
) -> KeyRecord:
    """A key of the organization, as it is stored for a member under a policy."""
    owner = organization_of(member(organization=organization), organization.id)
    assert policy.effective(owner.held).issuperset(scopes)
    roles = policy.policy.roles
    stored = owner.membership_grants(scopes, roles)
    assert stored is not None
    return KeyRecord(
        7, owner.subject, "live", frozenset(scopes), b"", None, None, owner.token_grants(scopes, roles),
        organization=organization.id, membership_grants=stored,
    )  # fmt: skip


def opened(policy: Snapshot, key: Principal) -> set[str]:
    decided = {action for action in ("GET", "POST") if policy.decide(key.held, "/x", action)}
    for action in ("GET", "POST"):
        assert bool(decide_without_context(policy, key.held, "/x", action)) is (action in decided)
        assert bool(explain(policy, key.held, action, "/x").decision) is (action in decided)
    assert {each.action for each in reach(policy, key.held) if each.resource == "/x"} == decided
    return decided


def test_its_facts_are_those_of_the_organization_and_of_the_key() -> None:
    key = principal_of(record())
    facts = {grant for grant in GIVEN.in_force(key.held) if is_fact(grant)}
    assert facts == {"anyone", KEY_METHOD, "env:live", "key:7", "org:acme"}
    assert (key.subject, key.method, key.organization) == ("org:acme", "api_key", Organization("acme"))
    subject = subject_of(key, GIVEN.effective(key.held))
    assert (subject["type"], subject["id"], subject["owner"]) == ("key", "7", "org:acme")
    assert subject["org"] == {"id": "acme", "role": "", "slug": ""}


@pytest.mark.parametrize(
    ("rows", "then"),
    [
        ((*MEMBERS, *ADMINS), {"GET", "POST"}),
        (MEMBERS, {"GET"}),
        (ADMINS, {"POST"}),
        ((), set()),
        (("g, org:other, a:read", "g, org-role:member, a:write"), set()),
        (("g, user:ann, a:read", "g, user:org:acme, a:write"), set()),
        (("g, auth:jwt, a:read",), {"GET"}),
    ],
)
def test_a_scope_is_in_force_while_rows_give_it_to_the_organization(rows: tuple[str, ...], then: set[str]) -> None:
    key = record()
    policy = snapshot(READ, WRITE, *rows)
    assert opened(policy, principal_of(key)) == then
    lost = {"GET": "a:read", "POST": "a:write"}
    assert set(beyond_owner(policy, key).lost) == {scope for action, scope in lost.items() if action not in then}
    assert opened(GIVEN, principal_of(key)) == {"GET", "POST"}, "it returns with them"


@pytest.mark.parametrize("scopes", [(), ("a:read",), ("b:read",)])
@pytest.mark.parametrize("rows", [(), ("g, org:acme, role:editor",), ("g, org:acme, a:write", "g, org:acme, b:read")])
def test_rows_of_the_organization_give_a_key_no_more_than_its_scopes(
    scopes: tuple[str, ...], rows: tuple[str, ...]
) -> None:
    key = principal_of(record(scopes=scopes))
    policy = snapshot(READ, WRITE, "p, role:editor, /y, GET, allow", *MEMBERS, *ADMINS, *rows)
    held = {grant for grant in policy.effective(key.held) if not is_fact(grant) or grant.startswith("role:")}
    assert held == set(scopes)
    assert opened(policy, key) == ({"GET"} if "a:read" in scopes else set())
    assert not policy.decide(key.held, "/y", "GET")
    signed_in = member()
    assert policy.decide(signed_in.held, "/x", "POST"), "as a member does"


def test_rows_that_name_the_organization_itself_apply_to_its_keys() -> None:
    key, other = principal_of(record()), principal_of(record(organization=Organization("other", "admin"), scopes=()))
    assert snapshot("p, org:acme auth:api_key, /x, GET, allow").decide(key.held, "/x", "GET")
    assert not snapshot("p, org:acme auth:api_key, /x, GET, allow").decide(other.held, "/x", "GET")
    denied = snapshot(READ, *MEMBERS, "p, org:acme, /x, GET|POST, deny")
    assert not denied.decide(key.held, "/x", "GET")
    assert not snapshot("p, org-role:admin, /x, GET, allow").decide(key.held, "/x", "GET"), "a key has no role"
    compared = snapshot("p, auth:api_key, /x, GET, allow, subject.org.id == 'acme'")
    found = {
        name: compared.decide(each.held, "/x", "GET", {"subject": subject_of(each, each.held)}).allowed
        for name, each in (("acme", key), ("other", other))
    }
    assert found == {"acme": True, "other": False}


def test_what_a_token_stated_of_the_organization_counts_until_the_key_ends() -> None:
    key = record(scopes=("b:read",))
    assert key.membership_grants == {"b:read", "org-role:admin"}
    policy = snapshot("p, b:read, /x, GET, allow")
    assert opened(policy, principal_of(key)) == {"GET"}
    assert beyond_owner(policy, key).counting == ()


def test_a_server_of_the_previous_version_puts_no_scope_in_force() -> None:
    key = record(scopes=("a:read", "b:read"))
    assert key.token_grants == frozenset()
    before = KeyRecord(7, key.subject, "live", key.scopes, b"", None, None, key.token_grants)
    assert snapshot(READ, *MEMBERS).in_force(principal_of(before).held).isdisjoint(key.scopes)


def test_a_member_gives_away_only_what_the_organization_has() -> None:
    policy = snapshot(READ, WRITE, *MEMBERS, "g, user:ann, role:editor", "g, role:editor, a:write")
    ann = member("c:read")
    assert {"a:write", "c:read"} <= policy.effective(ann.held)
    held = policy.effective(organization_of(ann, "acme").held)
    assert {grant for grant in held if not is_fact(grant)} == {"a:read", "b:read"}
    own = policy.effective(personal(ann).held)
    assert "a:read" not in own, "it would not be in force for a key of a user"
    assert {"a:write", "b:read", "c:read"} <= own


@pytest.mark.parametrize("other", ["", "acme2", "acm", "ACME", "org:acme"])
def test_no_organization_but_the_active_one(other: str) -> None:
    for user in (member(), user_principal("ann", (), {}), principal_of(record())):
        with pytest.raises(NotInOrganization):
            organization_of(user, other)
    with pytest.raises(NotInOrganization):
        organization_of(principal_of(record()), "acme")
