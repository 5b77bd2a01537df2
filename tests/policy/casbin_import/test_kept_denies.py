"""Denies of what the files do not spell out, such as a pattern of domains, are as wide as in Casbin, or wider."""

from __future__ import annotations

import pytest

from app.policy.casbin_import.import_options import ImportOptions
from app.policy.casbin_import.import_run import FinishedImport
from app.policy.casbin_import.path_pattern import patterns_of
from tests.policy.casbin_import.importing import codes, faults, imported, model, rows_of, snapshot
from tests.support.casbin_policies import ALLOW_AND_DENY

WITH_EFFECT = "sub, obj, act, eft"
DOMAIN_FIELDS = "sub, dom, obj, act"


def denying(matcher: str, *, request: str = "sub, obj, act", policy: str = WITH_EFFECT, groups: str = "") -> str:
    return model(matcher, request=request, policy=policy, groups=groups, effect=ALLOW_AND_DENY)


def is_allowed(done: FinishedImport, held: str, resource: str, action: str) -> bool:
    return bool(snapshot(done).decide(frozenset({*held.split(), "auth:jwt", "anyone"}), f"orders:{resource}", action))


@pytest.mark.parametrize("subject", ["r.sub == p.sub", "g(r.sub, p.sub, r.dom)", "keyMatch2(r.sub, p.sub)"])
@pytest.mark.parametrize("name", ["boss", "ann", "b.ss"])
def test_a_deny_in_domains_by_a_pattern_is_about_users_who_are_named_like_a_role(subject: str, name: str) -> None:
    """In Casbin they have that role in every domain, also in one that the files do not name."""
    text = denying(
        f'(p.sub == "*" || {subject}) && keyMatch(r.dom, p.dom) && r.obj == p.obj && r.act == p.act',
        request=DOMAIN_FIELDS,
        policy=f"{DOMAIN_FIELDS}, eft",
        groups="g = _, _, _",
    )
    rows = ("p, *, *, stock, read, allow", f"p, {name}, so*, stock, read, deny", "g, ann, boss, south")
    done = imported(text, *rows, "p, *, *, price, read, allow")
    assert not is_allowed(done, f"user:{name} org:south", "stock", "read")
    assert not is_allowed(done, f"user:{name} org:sonora", "stock", "read")
    assert is_allowed(done, f"user:{name} org:sonora", "price", "read")
    assert codes(done, "wider-deny") == {"subject"}


def test_a_deny_of_contradictory_names_is_about_no_one() -> None:
    text = denying(
        '(p.sub == "*" || r.sub == p.sub && r.sub == p.own) && r.obj == p.obj && r.act == p.act',
        policy="sub, own, obj, act, eft",
        groups="g = _, _",
    )
    rows = ("p, *, x, stock, read, allow", "p, boss, cy, stock, read, deny", "g, ann, boss", "g, bob, cy")
    done = imported(text, *rows)
    assert is_allowed(done, "user:boss", "stock", "read")
    assert codes(done, "wider-deny") == set()


@pytest.mark.parametrize(("cell", "allowed"), [("*", False), ("TR*", False), ("T*", False), ("GET", True)])
def test_a_deny_of_methods_by_a_pattern_includes_those_that_other_rows_name(cell: str, allowed: bool) -> None:
    text = denying("r.sub == p.sub && r.obj == p.obj && keyMatch(r.act, p.act)")
    rows = ("p, ann, /x, TRACE, allow", f"p, ann, /x, {cell}, deny", "p, ann, /y, TRACE, allow")
    done = imported(text, *rows)
    assert is_allowed(done, "user:ann", "/x", "TRACE") is allowed
    assert is_allowed(done, "user:ann", "/y", "TRACE")
    assert not codes(done, "wider-deny")


def test_an_action_that_stands_for_a_method_makes_it_known() -> None:
    text = denying("r.sub == p.sub && r.obj == p.obj && keyMatch(r.act, p.act)")
    options = ImportOptions("orders", depth=1, samples=30, methods={"ping": ("TRACE",)})
    rows = ("p, ann, /x, ping, allow", "p, ann, /y, ping, allow", "p, ann, /x, p*, deny")
    done = imported(text, *rows, options=options)
    assert [is_allowed(done, "user:ann", path, "TRACE") for path in ("/x", "/y")] == [False, True]


@pytest.mark.parametrize("field", ["obj", "act"])
def test_roles_of_objects_and_actions_in_the_domain_of_the_request_are_denied_in_every_domain(field: str) -> None:
    """Rows about things have no domain: an allow by such a role is left out."""
    group, other = f"g2(r.{field}, p.{field}, r.dom)", "act" if field == "obj" else "obj"
    text = denying(
        f"r.sub == p.sub && r.{other} == p.{other} && ({group} || r.{field} == p.{field})",
        request=DOMAIN_FIELDS,
        groups="g = _, _\ng2 = _, _, _",
    )
    member, role = ("memo", "papers") if field == "obj" else ("read", "any")
    cells = f"{{}}, {'read'}" if field == "obj" else "memo, {}"
    rows = [f"p, ann, {cells.format(name)}, {effect}" for name, effect in ((member, "allow"), (role, "deny"))]
    allow = f"p, bob, {cells.format(role)}, allow"
    done = imported(text, *rows, allow, f"g2, {member}, {role}, north")
    assert not is_allowed(done, "user:ann org:north", "memo", "read")
    assert not is_allowed(done, "user:bob org:north", "memo", "read")
    assert (codes(done, "wider-deny"), codes(done, "left-out")) == ({"attributes"}, {"attributes"})


@pytest.mark.parametrize("domain", ['"north"', "p.eft"])
def test_a_role_definition_of_two_parameters_ignores_a_domain(domain: str) -> None:
    text = denying(
        f"r.sub == p.sub && (g2(r.obj, p.obj, {domain}) || r.obj == p.obj) && r.act == p.act",
        groups="g = _, _\ng2 = _, _",
    )
    rows = ("p, ann, memo, read, allow", "p, ann, papers, read, deny", "p, bob, papers, read, allow")
    done = imported(text, *rows, "g2, memo, papers")
    assert not is_allowed(done, "user:ann", "memo", "read")
    assert is_allowed(done, "user:bob", "memo", "read")
    assert done.is_exact


MATCHING = denying(
    "r.sub == p.sub && g2(r.obj, p.obj) && keyMatch(r.obj, p.pat) && r.act == p.act",
    policy="sub, obj, pat, act, eft",
    groups="g = _, _\ng2 = _, _",
)


@pytest.mark.parametrize("pattern", ["/books/7*", "/books/*", "/b*"])
def test_a_deny_by_a_role_of_patterns_and_another_pattern_refuses_the_import(pattern: str) -> None:
    rows = (
        "p, ann, all, *, GET, allow",
        f"p, ann, books, {pattern}, GET, deny",
        "g2, /books/7, all",
        "g2, /books/:id, books",
    )
    options = ImportOptions("orders", depth=1, samples=30, matching={"g2": "keyMatch2"})
    (fault,) = faults(MATCHING, *rows, options=options)
    assert (fault.code, fault.line, "two patterns" in fault.message) == ("unstated-deny", 2, True)


def test_two_patterns_of_things_are_those_that_match_both() -> None:
    rows = (
        "p, ann, books, *, read, allow",
        "p, ann, books, b/7*, read, deny",
        "g2, b/:id, books",
        "p, ann, b/7, *, read, allow",
    )
    options = ImportOptions("orders", samples=30, matching={"g2": "keyMatch2"}, objects=("b/8", "c/7", "b/77"))
    done = imported(MATCHING, *rows, options=options)
    allowed = {name for name in ("b/7", "b/8", "c/7", "b/77") if is_allowed(done, "user:ann", name, "read")}
    assert (allowed, codes(done, "no-effect")) == ({"b/8"}, {"idle-deny"})


def test_things_by_a_role_of_patterns_with_equal_segments_stay_denied() -> None:
    text = denying("r.sub == p.sub && g2(r.obj, p.obj) && r.act == p.act", groups="g = _, _\ng2 = _, _")
    options = ImportOptions("orders", samples=30, matching={"g2": "keyMatch4"})
    rows = (
        "p, ann, a/7/7, read, allow",
        "p, ann, a/7/8, read, allow",
        "p, ann, same, read, deny",
        "g2, a/{x}/{x}, same",
    )
    done = imported(text, *rows, options=options)
    assert [is_allowed(done, "user:ann", name, "read") for name in ("a/7/7", "a/7/8")] == [False, True]


def test_a_pattern_that_ignores_a_query_is_about_names_that_have_one() -> None:
    text = denying('(p.sub == "*" || keyMatch5(r.sub, p.sub)) && r.obj == p.obj && r.act == p.act')
    done = imported(text, "p, *, stock, read, allow", "p, ann, stock, read, deny")
    assert not is_allowed(done, "user:ann?x", "stock", "read")
    text = denying("r.sub == p.sub && (keyMatch5(r.obj, p.obj) || r.obj == p.obj) && r.act == p.act")
    rows = ("p, ann, stock?x, read, allow", "p, ann, price?x, read, allow", "p, ann, stock, read, deny")
    done = imported(text, *rows)
    assert "p, user:ann, orders:stock?x, read, deny" in rows_of(done)
    assert is_allowed(done, "user:ann", "price?x", "read")


@pytest.mark.parametrize("pattern", ["^/a?+$", "^/a++$", "^/(a)?+$", "^/a{2}+$", "^/a*+$"])
def test_possessive_quantifiers_are_unreadable(pattern: str) -> None:
    assert "possessive" in patterns_of("regexMatch", pattern).fault


def test_braces_without_numbers_repeat_only_with_a_comma() -> None:
    text = denying("r.sub == p.sub && regexMatch(r.obj, p.obj) && r.act == p.act")
    (fault,) = faults(text, "p, ann, ^/.*$, GET, allow", "p, ann, ^/a(/{,}[bc])$, GET, deny")
    assert (fault.code, fault.line, "repeats a slash" in fault.message) == ("unstated-deny", 2, True)
    assert "cannot be a segment" in patterns_of("regexMatch", "^/a{}$").fault


@pytest.mark.parametrize("group", ["g", "g2", "g3"])
@pytest.mark.parametrize("pattern", ["/a/*", "/a/:id", "/a/{id}", "^/a$", "/a/[0-9]", "a|b"])
def test_a_pattern_in_a_role_row_needs_a_word_of_the_author(group: str, pattern: str) -> None:
    text = denying("g(r.sub, p.sub) && g2(r.obj, p.obj) && g3(r.act, p.act)", groups="g = _, _\ng2 = _, _\ng3 = _, _")
    rows = ("p, ann, stock, read, allow", f"{group}, {pattern}, x")
    (fault,) = faults(text, *rows)
    assert (fault.code, fault.line, f"--match {group}=none" in fault.hint) == ("matching", 2, True)
    assert imported(text, *rows, options=ImportOptions("orders", samples=30, matching={group: "none"}))


def test_a_role_definition_of_patterns_is_about_objects_alone() -> None:
    text = denying("r.sub == p.sub && g2(r.obj, p.obj) && g2(r.act, p.act)", groups="g = _, _\ng2 = _, _")
    options = ImportOptions("orders", samples=30, matching={"g2": "keyMatch2"})
    (fault,) = faults(text, "p, ann, stock, read, allow", options=options)
    assert (fault.code, fault.file, fault.line, fault.column) == ("matching", "model.conf", 1, 1)
    assert "cannot be imported" in fault.message
