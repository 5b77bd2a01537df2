"""Each kind of Casbin policy is carried over with the verdicts of pycasbin."""

from __future__ import annotations

import pytest

from app.policy.casbin_import.import_options import ImportOptions
from tests.policy.casbin_import.importing import ACL, codes, imported, model, rows_of, snapshot
from tests.support.casbin_policies import ALLOW_AND_DENY, DENY_OVERRIDE, PRIORITY

WITH_EFFECT = "sub, obj, act, eft"
DOMAINS = "g(r.sub, p.sub, r.dom) && r.dom == p.dom && r.obj == p.obj && r.act == p.act"
DOMAIN_FIELDS = "sub, dom, obj, act"


def path(function: str, subject: str = "r.sub == p.sub", action: str = "r.act == p.act") -> str:
    return model(f"{subject} && {function}(r.obj, p.obj) && {action}", groups="")


def test_access_lists() -> None:
    done = imported(model(ACL, groups=""), "p, ann, stock, read", "p, bob, price, write")
    assert done.is_exact
    assert rows_of(done) == ["p, user:ann, orders:stock, read, allow", "p, user:bob, orders:price, write, allow"]


def test_roles_get_names_of_their_own() -> None:
    """`role:orders-admin` exists in the policy that the rows are added to, with other holders and other rights."""
    done = imported(model(), "p, admin, stock, write", "p, Admin, stock, read", "g, ann, admin", "g, admin, Admin")
    assert done.is_exact
    assert rows_of(done, "orders_roles.csv") == [
        "g, user:ann, role:orders-admin-2",
        "g, role:orders-admin-2, role:orders-admin-3",
    ]
    held = snapshot(done)
    assert not held.decide(frozenset({"user:zoe"}), "orders:stock", "write")
    assert not held.decide(frozenset({"user:admin"}), "orders:stock", "write")


@pytest.mark.parametrize("name", ["user:eve", "role:orders-admin", "org:north", "auth:jwt", "anyone", "a:read"])
def test_names_like_grants_are_names_only(name: str) -> None:
    """A subject or role that is named like a fact or a permission gives and takes nothing of it."""
    done = imported(model(), f"p, {name}, stock, read", f"p, {name}2, price, read", f"g, ann, {name}2")
    assert done.is_exact
    found = snapshot(done)
    assert not found.decide(frozenset({name, "auth:jwt"}), "orders:stock", "read")
    assert not found.decide(frozenset({"user:ann"}), "/x", "GET")
    assert found.decide(frozenset({f"user:{name}"}), "orders:stock", "read")
    assert found.decide(frozenset({"user:ann"}), "orders:price", "read")


@pytest.mark.parametrize("name", ["data1", "data:1", "größe", "\U0001f600", "a/b", "x@y=z", "data1:"])
def test_objects_that_are_not_paths(name: str) -> None:
    """Each is a thing of its own: neither another of its kind nor the kind itself is opened."""
    done = imported(model(ACL, groups=""), f"p, ann, {name}, read", "p, bob, data, read")
    found = snapshot(done)
    assert done.is_exact
    assert found.decide(frozenset({"user:ann"}), f"orders:{name}", "read")
    assert not found.decide(frozenset({"user:bob"}), "orders:data:2", "read")
    assert not found.decide(frozenset({"user:bob"}), "data", "read")
    assert not found.decide(frozenset({"user:ann"}), "orders", "read")


def test_domains_are_organizations() -> None:
    rows = (
        "p, admin, north, stock, write",
        "p, admin, south, price, write",
        "g, ann, admin, north",
        "g, bob, admin, south",
    )
    done = imported(model(DOMAINS, request=DOMAIN_FIELDS, policy=DOMAIN_FIELDS, groups="g = _, _, _"), *rows)
    assert done.is_exact
    assert rows_of(done)[0] == "p, org:north role:orders-north-admin, orders:stock, write, allow"
    found = snapshot(done)
    assert found.decide(frozenset({"user:ann", "org:north"}), "orders:stock", "write")
    assert not found.decide(frozenset({"user:ann", "org:south"}), "orders:price", "write")
    assert not found.decide(frozenset({"user:ann"}), "orders:stock", "write")


def test_roles_in_one_domain_alone_need_no_organization() -> None:
    matcher = 'g(r.sub, p.sub, "north") && r.obj == p.obj && r.act == p.act'
    rows = ("p, admin, stock, write", "g, ann, admin, north", "g, bob, admin, south")
    done = imported(model(matcher, groups="g = _, _, _"), *rows)
    assert done.is_exact
    found = snapshot(done)
    assert found.decide(frozenset({"user:ann"}), "orders:stock", "write")
    assert not found.decide(frozenset({"user:bob"}), "orders:stock", "write")


def test_resource_roles() -> None:
    text = model("g(r.sub, p.sub) && g2(r.obj, p.obj) && r.act == p.act", groups="g = _, _\ng2 = _, _")
    done = imported(
        text,
        "p, editor, papers, write",
        "g, ann, editor",
        "g2, memo, papers",
        "g2, letters, papers",
        "g2, note, letters",
    )
    assert done.is_exact
    found = snapshot(done)
    assert found.decide(frozenset({"user:ann"}), "orders:note", "write")
    assert not found.decide(frozenset({"user:ann"}), "orders:other", "write")


def test_resource_roles_with_a_pattern_function() -> None:
    text = model("g(r.sub, p.sub) && g2(r.obj, p.obj) && r.act == p.act", groups="g = _, _\ng2 = _, _")
    options = ImportOptions("orders", samples=30, matching={"g2": "keyMatch2"})
    done = imported(text, "p, ann, books, GET", "g2, /books/:id, books", "g2, /shelf/*, books", options=options)
    assert "p, user:ann, orders:/books/*, GET, allow" in rows_of(done)
    assert "p, user:ann, orders:/shelf/*/**, GET, allow" in rows_of(done)


def test_denies_beat_allows() -> None:
    rows = ("p, editor, stock, write, allow", "p, ann, stock, write, deny", "g, ann, editor", "g, bob, editor")
    done = imported(model(policy=WITH_EFFECT, effect=ALLOW_AND_DENY), *rows)
    assert done.is_exact
    found = snapshot(done)
    assert found.decide(frozenset({"user:bob"}), "orders:stock", "write")
    assert not found.decide(frozenset({"user:ann"}), "orders:stock", "write")


def test_an_effect_that_ignores_denies_is_carried_over_as_it_is() -> None:
    done = imported(model(policy=WITH_EFFECT), "p, ann, stock, write, allow", "p, ann, stock, write, deny")
    assert codes(done, "no-effect") == {"ignored-deny"}
    assert snapshot(done).decide(frozenset({"user:ann"}), "orders:stock", "write")


def test_allow_by_default_is_limited_to_what_has_a_name() -> None:
    done = imported(model(ACL, policy=WITH_EFFECT, groups="", effect=DENY_OVERRIDE), "p, ann, stock, write, deny")
    assert codes(done, "left-out") == {"default-allow"}
    found = snapshot(done)
    assert found.decide(frozenset({"user:bob", "auth:jwt"}), "orders:stock", "write")
    assert not found.decide(frozenset({"user:ann", "auth:jwt"}), "orders:stock", "write")
    assert not found.decide(frozenset({"auth:anonymous"}), "orders:stock", "write")


def test_a_deny_of_a_role_applies_to_users_who_are_named_like_one() -> None:
    """In Casbin `boss` has the role, and no user of this name has it here: what is open to all stays closed to them."""
    text = model(
        '(p.sub == "*" || g(r.sub, p.sub)) && r.obj == p.obj && r.act == p.act',
        policy=WITH_EFFECT,
        effect=ALLOW_AND_DENY,
    )
    rows = ("p, *, stock, read, allow", "p, staff, stock, read, deny", "g, boss, staff", "g, ann, boss")
    found = snapshot(imported(text, *rows))
    for name, allowed in (("zed", True), ("ann", False), ("boss", False), ("staff", False)):
        assert bool(found.decide(frozenset({f"user:{name}", "auth:jwt"}), "orders:stock", "read")) is allowed, name


def test_the_first_row_by_priority_decides() -> None:
    rows = (
        "p, 10, staff, stock, write, deny",
        "p, 1, ann, stock, write, allow",
        "p, 20, staff, price, read, allow",
        "p, 5, bob, price, read, deny",
        "g, ann, staff",
        "g, bob, staff",
        "g, cy, staff",
    )
    done = imported(model(policy="priority, sub, obj, act, eft", effect=PRIORITY), *rows)
    assert done.is_exact
    found = snapshot(done)
    row = next(row for row in rows_of(done) if "orders:stock, write, deny" in row)
    assert row.endswith("""deny, "!('user:ann' in subject.permissions)\"""")
    assert not found.decide(frozenset({"user:bob"}), "orders:price", "read")
    assert found.decide(frozenset({"user:cy"}), "orders:price", "read")


def test_a_deny_that_an_earlier_allow_covers_in_part_stays_and_is_reported() -> None:
    text = model(
        "r.sub == p.sub && keyMatch2(r.obj, p.obj) && r.act == p.act", groups="", policy=WITH_EFFECT, effect=PRIORITY
    )
    rows = ("p, ann, /a/b, GET, allow", "p, ann, /a/:id, GET, deny", "p, ann, /*, GET, allow")
    done = imported(text, *rows)
    assert codes(done, "wider-deny") == {"order"}
    found = snapshot(done)
    assert not found.decide(frozenset({"user:ann"}), "orders:/a/b", "GET")


@pytest.mark.parametrize(
    ("function", "pattern", "resource"),
    [
        ("keyMatch", "/orders/7", "/orders/7"),
        ("keyMatch", "/orders/*", "/orders/*/**"),
        ("keyMatch", "/orders/*/items", "/orders/*/**"),  # for Casbin the pattern ends at its `*`
        ("keyMatch", "/*", "/**"),
        ("keyMatch2", "/orders/:id", "/orders/*"),
        ("keyMatch2", "/orders/:id/items/*", "/orders/*/items/*/**"),
        ("keyMatch3", "/orders/{id}", "/orders/*"),
        ("keyMatch3", "/orders/{id}/*", "/orders/*/*/**"),
        ("keyMatch4", "/orders/{id}", "/orders/*"),
        ("keyMatch5", "/orders/{id}/items", "/orders/*/items"),
        ("regexMatch", "^/orders/[^/]+$", "/orders/*"),
        ("regexMatch", "^/orders$", "/orders"),
        ("regexMatch", "^/orders/?$", "/orders"),
        ("regexMatch", "^/orders/.+$", "/orders/*/**"),
        ("regexMatch", "^/v1\\.0/orders$", "/v1.0/orders"),
    ],
)
def test_patterns_of_paths(function: str, pattern: str, resource: str) -> None:
    done = imported(path(function), f"p, ann, {pattern}, GET")
    assert done.is_exact
    assert rows_of(done)[0] == f"p, user:ann, orders:{resource}, GET, allow"
    assert "p, anyone, orders:/**, HEAD, deny" in rows_of(done)  # Casbin allows GET alone


def test_alternatives_of_a_regular_expression_are_rows() -> None:
    done = imported(path("regexMatch"), "p, ann, ^/(orders|items)/(7|8)$, GET")
    assert [row.split(", ")[2] for row in rows_of(done)[:4]] == [
        "orders:/orders/7",
        "orders:/orders/8",
        "orders:/items/7",
        "orders:/items/8",
    ]


def test_segments_that_must_be_equal() -> None:
    """The comparison with pycasbin includes paths with equal and with other segments."""
    done = imported(path("keyMatch4"), "p, ann, /a/{id}/b/{id}, GET")
    assert rows_of(done)[0] == 'p, user:ann, orders:/a/*/b/*, GET, allow, "params.p2 == params.p4"'


@pytest.mark.parametrize(
    ("action", "cell", "methods"),
    [
        ("regexMatch(r.act, p.act)", "(GET)|(POST)", "GET|POST"),
        ("regexMatch(r.act, p.act)", "GET|POST", "GET|POST"),
        ("regexMatch(r.act, p.act)", "P", "POST|PUT|PATCH"),  # for Casbin it matches the start
        ("keyMatch(r.act, p.act)", "*", "GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS"),
        ('(r.act == p.act || p.act == "*")', "*", "GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS"),
        # For `regexMatch` it is no pattern, and Casbin does not look at it.
        ('(p.act == "*" || regexMatch(r.act, p.act))', "*", "GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS"),
        ('r.act in ("GET", p.act)', "POST", "GET|POST"),
        ("r.act == p.act", "TRACE", "TRACE"),
    ],
)
def test_actions_are_methods(action: str, cell: str, methods: str) -> None:
    done = imported(path("keyMatch2", action=action), f"p, ann, /orders, {cell}")
    assert done.is_exact
    assert rows_of(done)[0] == f"p, user:ann, orders:/orders, {methods}, allow"


def test_actions_that_stand_for_methods() -> None:
    options = ImportOptions("orders", samples=30, methods={"read": ("GET", "HEAD"), "write": ("POST",)})
    done = imported(path("keyMatch2"), "p, ann, /orders, read", "p, bob, /orders, write", options=options)
    assert done.is_exact
    assert rows_of(done) == ["p, user:ann, orders:/orders, GET|HEAD, allow", "p, user:bob, orders:/orders, POST, allow"]


def test_rows_that_a_negated_comparison_leaves_out() -> None:
    done = imported(model(f'!(p.sub == "cy") && {ACL}', groups=""), "p, ann, stock, read", "p, cy, stock, read")
    assert rows_of(done) == ["p, user:ann, orders:stock, read, allow"]


def test_a_superuser() -> None:
    done = imported(model(f'{ACL} || r.sub == "root"', groups=""), "p, ann, stock, read", "p, bob, price, write")
    found = snapshot(done)
    assert done.is_exact
    assert found.decide(frozenset({"user:root"}), "orders:price", "read")
    assert not found.decide(frozenset({"user:root"}), "/x", "GET")


def test_a_superuser_is_denied_where_casbin_denies() -> None:
    """The matcher is met by every row for the superuser, also by those that deny."""
    text = model(f'{ACL} || r.sub == "root"', groups="", policy=WITH_EFFECT, effect=ALLOW_AND_DENY)
    done = imported(text, "p, ann, stock, read, allow", "p, bob, stock, read, deny")
    assert not snapshot(done).decide(frozenset({"user:root"}), "orders:stock", "read")


def test_everyone_is_every_signed_in_user() -> None:
    text = model('(p.sub == "*" || g(r.sub, p.sub)) && r.obj == p.obj && r.act == p.act')
    found = snapshot(imported(text, "p, *, stock, read"))
    assert found.decide(frozenset({"auth:jwt"}), "orders:stock", "read")
    assert not found.decide(frozenset({"auth:api_key"}), "orders:stock", "read")


def test_subjects_that_stand_for_grants() -> None:
    options = ImportOptions("orders", subjects={"guest": "auth:anonymous", "buyer": "a:write"})
    done = imported(model(ACL, groups=""), "p, guest, stock, read", "p, buyer, stock, write", options=options)
    assert rows_of(done) == [
        "p, auth:anonymous, orders:stock, read, allow",
        "p, a:write, orders:stock, write, allow",
    ]


def test_a_cycle_of_roles_is_one_role() -> None:
    done = imported(model(), "p, a, stock, read", "p, c, price, read", "g, a, b", "g, b, c", "g, c, a", "g, ann, b")
    found = snapshot(done)
    assert found.decide(frozenset({"user:ann"}), "orders:stock", "read")
    assert found.decide(frozenset({"user:ann"}), "orders:price", "read")


def test_conditions_on_attributes_are_left_out_of_allows_and_denies_apply_without_them() -> None:
    matcher = "r.sub == p.sub && r.obj == p.obj && r.act == p.act && r.sub.Age > 18"
    text = model(f'{matcher} || {ACL} && p.eft == "allow"', groups="", policy=WITH_EFFECT, effect=ALLOW_AND_DENY)
    rows = ("p, ann, stock, read, allow", "p, bob, stock, read, allow", "p, bob, stock, read, deny")
    done = imported(text, *rows)
    assert codes(done, "wider-deny") == {"attributes"}
    found = snapshot(done)
    assert found.decide(frozenset({"user:ann"}), "orders:stock", "read")
    assert not found.decide(frozenset({"user:bob"}), "orders:stock", "read")


def test_rules_in_cells_are_left_out() -> None:
    same = "r.obj == p.obj && r.act == p.act"
    matcher = f'eval(p.rule) && {same} || p.rule == "none" && r.sub == "ann" && {same}'
    done = imported(
        model(matcher, policy="rule, obj, act", groups=""), "p, r.sub.Age > 18, stock, read", "p, none, price, read"
    )
    assert codes(done, "left-out") == {"attributes"}
    assert rows_of(done) == ["p, user:ann, orders:price, read, allow"]
