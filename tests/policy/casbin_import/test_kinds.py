"""Each kind of Casbin policy is carried over with the verdicts of pycasbin."""

from __future__ import annotations

import pytest

from app.policy.casbin_import import priorities
from app.policy.casbin_import.casbin_policy import CasbinFiles, read_casbin
from app.policy.casbin_import.import_options import ImportOptions
from tests.policy.casbin_import.importing import ACL, RBAC, codes, imported, model, path_model, rows_of, snapshot
from tests.support.casbin_policies import ALLOW_AND_DENY, DENY_OVERRIDE, PRIORITY

WITH_EFFECT = "sub, obj, act, eft"
DOMAINS = "g(r.sub, p.sub, r.dom) && r.dom == p.dom && r.obj == p.obj && r.act == p.act"
DOMAIN_FIELDS = "sub, dom, obj, act"
ROW = "p, ann, stock, read"


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


@pytest.mark.parametrize("name", ["a#b", "f(a,b)", "a\u200bb", "a b", "a|b", "a{b}", "a*"])
def test_an_object_that_rows_cannot_name_is_left_out(name: str) -> None:
    """A comma or `#` within a resource would end it, so that the row would be about another thing."""
    options = ImportOptions("orders", samples=30, objects=("stock", name))
    done = imported(path_model("keyMatch"), "p, ann, *, read", options=options)
    assert (codes(done, "left-out"), rows_of(done)) == ({"object"}, ["p, user:ann, orders:stock, read, allow"])


@pytest.mark.parametrize(
    ("count", "part"),
    [(1, "`r0` became a role"), (2, "`r1` became roles"), (5, "`r4` became roles"), (6, "`r4` and others")],
)
def test_a_remark_names_the_roles(count: int, part: str) -> None:
    rows = [f"{row}{at}" for at in range(count) for row in (f"p, r{at}, stock, a", "g, ann, r")]
    (note,) = (note for note in imported(model(), *rows).notes if note.code == "role-name")
    assert (note.kind, note.file, note.line, part in note.message) == ("remark", "model.conf", 10, True)


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
    names = [line.strip() for line in done.files["tests/orders.yaml"].decode().split("\n") if "- name:" in line]
    assert '- name: "org:north user:ann"' in names
    assert len(names) == len(set(names))


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


def test_denies_of_paths_are_exact_unless_they_are_too_many_to_compare() -> None:
    text = model(
        "r.sub == p.sub && keyMatch2(r.obj, p.obj) && r.act == p.act", groups="", policy=WITH_EFFECT, effect=PRIORITY
    )
    rows = (
        *("p, ann, /a/b, GET, deny", "p, ann, /a/:id, GET, allow", "p, bob, /a/b, GET, allow"),
        *("p, ann, stock, read, deny", "p, ann, stock, read, allow"),
    )
    done = imported(text, *rows)
    assert (done.is_exact, codes(done, "wider-deny")) == (True, set())
    for most, found in ((2, []), (1, [("order", 1)])):  # one deny of a path, and two allows
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(priorities, "MAX_COMPARED", most)
            done = imported(text, *rows)
        assert [(note.code, note.line) for note in done.notes if note.kind == "wider-deny"] == found


def test_a_deny_that_an_earlier_allow_covers_in_part_stays_and_is_reported() -> None:
    text = model(
        "r.sub == p.sub && keyMatch2(r.obj, p.obj) && r.act == p.act", groups="", policy=WITH_EFFECT, effect=PRIORITY
    )
    rows = ("p, ann, /a/b, GET, allow", "p, ann, /a/:id, GET, deny", "p, ann, /*, GET, allow")
    done = imported(text, *rows)
    assert codes(done, "wider-deny") == {"order"}
    found = snapshot(done)
    assert not found.decide(frozenset({"user:ann"}), "orders:/a/b", "GET")


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


@pytest.mark.parametrize(
    "test",
    [
        *(f"r.sub.Age {operator} 18" for operator in ("==", "!=", "<", ">", "<=", ">=")),
        *('r.sub.Group in ("a", "b")', "r.sub in p.sub", "!(r.sub == p.sub)", "g(r.sub.Name, p.sub)"),
        *('r.sub.Group in ["a", "b"]', "ipMatch(r.sub, p.sub)", "keyMatch(r.sub.Name, p.sub)"),
        # Requests have a field that says none of who, where, what and how.
        *("r.env == p.sub", "g(r.env, p.sub)", "g2(r.sub, p.sub, r.env)", "keyMatch(r.env, p.obj)"),
    ],
)
def test_tests_without_counterpart_are_left_out_of_models_with_roles(test: str) -> None:
    text = f"{RBAC} && p.obj == 'price' || {RBAC} && {test}".replace("'", '"')
    text = model(text, request="sub, obj, act, env", groups="g = _, _\ng2 = _, _, _")
    done = imported(text, "p, staff, stock, read", "p, staff, price, read", "g, ann, staff")
    assert codes(done, "left-out") == {"attributes"}
    assert rows_of(done) == ["p, role:orders-staff, orders:price, read, allow"]


def test_lines_of_a_model_that_look_like_sections_and_comments() -> None:
    text = model('r.obj == p.obj &&\\\nr.act == p.act \\\n    && r.sub in ["ann", "bob"]', groups="")
    text = text.replace("[matchers]\n", "; m = r.obj == p.obj\n# m = r.act == p.act\n\n[matchers]\n")
    done = imported(text, "p, cy, stock, read")
    assert [row.split(", ")[1] for row in rows_of(done)] == ["user:ann", "user:bob"]


@pytest.mark.parametrize(
    "request_fields",
    [
        *(f"sub, obj, {name}" for name in ("act", "action", "method", "operation", "verb", "Act")),
        *(f"sub, {name}, act" for name in ("object", "resource", "res", "path", "url", "uri", "route", "URL")),
        *(f"{name}, obj, act" for name in ("subject", "user", "username", "role", "who", "User")),
    ],
)
def test_the_names_of_fields(request_fields: str) -> None:
    subject, thing, action = request_fields.split(", ")
    text = model(f"r.{subject} == p.sub && r.{thing} == p.obj && r.{action} == p.act", request=request_fields)
    fields = read_casbin(CasbinFiles("model.conf", text, {"policy.csv": ROW})).fields
    assert (fields.subject, fields.domain, fields.object, fields.action) == (subject, None, thing, action)


@pytest.mark.parametrize("name", ["dom", "domain", "tenant", "org", "organization", "Tenant"])
def test_the_names_of_domains(name: str) -> None:
    text = model(f"r.sub == p.sub && r.{name} == p.dom", request=f"{name}, act, sub, obj", policy="sub, dom")
    fields = read_casbin(CasbinFiles("model.conf", text, {"policy.csv": "p, ann, north"})).fields
    assert (fields.subject, fields.domain, fields.object, fields.action) == ("sub", name, "obj", "act")


def test_a_comment_names_the_rows_of_a_new_row() -> None:
    rows = [f"p, ann, stock, {action}" for action in ("a", "b", "c", "d")]
    texts = [imported(model(), *rows[:count]).files["orders.csv"].decode() for count in (3, 4)]
    places = "# policy.csv:1, policy.csv:2, policy.csv:3"
    assert [f"{places}\n" in texts[0], f"{places} and 1 more\n" in texts[1]] == [True, True]


def test_rules_in_cells_are_left_out() -> None:
    same = "r.obj == p.obj && r.act == p.act"
    matcher = f'eval(p.rule) && {same} || p.rule == "none" && r.sub == "ann" && {same}'
    done = imported(
        model(matcher, policy="rule, obj, act", groups=""), "p, r.sub.Age > 18, stock, read", "p, none, price, read"
    )
    assert codes(done, "left-out") == {"attributes"}
    assert rows_of(done) == ["p, user:ann, orders:price, read, allow"]
