"""`issuers.toml`: what it states, and the place of each fault."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from app.identity.issuer import API_TOKENS, CLERK, OrganizationClaims, TrustedIssuer
from app.policy.language.diff import changes, file_changes
from app.policy.language.fault import Fault, PolicyRefused
from app.policy.language.issuers import FILE, MAX_FAULTS, MAX_ISSUERS, deployment_faults, describe, load
from app.policy.language.load import parse
from app.policy.language.source import PolicySource, from_bytes
from tests.policy.small import files

MARK = "‸"
A = 'issuer = "https://a.example"\njwks_url = "https://a.example/jwks"\naudiences = ["griddy"]\n'
B = A.replace("a.example", "b.example")
PARTNER = 'subject_prefix = "partner:"\n'


def read(text: str) -> tuple[tuple[TrustedIssuer, ...], list[Fault]]:
    faults: list[Fault] = []
    return load(PolicySource({FILE: text}, "r"), faults), faults


def test_the_file_is_optional() -> None:
    faults: list[Fault] = []
    assert load(PolicySource({}, "r"), faults) == ()
    assert not faults
    assert parse(from_bytes(files())).issuers == ()


def test_an_issuer_has_defaults() -> None:
    assert read(f"[a]\n{A}# end\n") == (
        (TrustedIssuer("a", "https://a.example", "https://a.example/jwks", ("griddy",), skew_seconds=5),),
        [],
    )


def test_every_key_has_its_meaning() -> None:
    found, faults = read(
        f"[a]\n{A}[b-2]\n{B}"
        'authorized_parties = ["web", "https://app.example", "web"]\ntypes = ["at+JWT"]\nclock_skew_seconds = 0\n'
        'permissions = ["realm_access", "roles"]\nsubject_prefix = "b-2.x_y:"\ndelegated = true\nscopes = "scp"\n'
        'own_clients = ["web", "ios"]\n'
    )
    assert not faults
    assert found[1] == TrustedIssuer(
        "b-2",
        "https://b.example",
        "https://b.example/jwks",
        ("griddy",),
        ("web", "https://app.example"),
        kinds=frozenset({"at+jwt"}),
        permissions=("realm_access", "roles"),
        subject_prefix="b-2.x_y:",
        is_delegating=True,
        scopes=("scp",),
        own_clients=("web", "ios"),
    )


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ('"scope"', ("scope",)),
        ('"https://griddy.example/permissions"', ("https://griddy.example/permissions",)),
        ('["resource_access", "a.b", "roles"]', ("resource_access", "a.b", "roles")),
    ],
)
def test_permissions_are_a_claim_or_a_path(value: str, path: tuple[str, ...]) -> None:
    (found,), faults = read(f"[a]\n{A}permissions = {value}\n")
    assert found.permissions == path
    assert not faults


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("‸# end\n", "the file has no issuers", "write [partner]"),
        (f"[‸Partner]\n{A}", "`Partner` is not a name", "short name in lower case"),
        (f'["‸https://a.example"]\n{A}', "`https://a.example` is not a name", "short name"),
        (f"[‸settings]\n{A}", "`settings` is the name of the issuer of AUTHZ_ISSUER", "choose another name"),
        ("‸a = 1\n", "`a` is not a table", "write [partner]"),
        (f"[[‸a]]\n{A}", "`a` is not a table", "write [partner]"),
        ('[‸a]\njwks_url = "https://a.example/jwks"\naudiences = ["x"]\n', "`a` has no `issuer`", "write [partner]"),
        ('[‸a]\nissuer = "https://a.example"\naudiences = ["x"]\n', "`a` has no `jwks_url`", "write [partner]"),
        (
            '[‸a]\nissuer = "https://a.example"\njwks_url = "https://a.example"\n',
            "`a` has neither `audiences` nor `authorized_parties`",
            "name the audience",
        ),
        (f"[a]\n{A}‸audience = 'x'\n", "`audience` is an unknown key", "did you mean `audiences`?"),
        (f"[a]\n{A}‸jwks = 'x'\n", "`jwks` is an unknown key", "jwks_url"),
        (A.replace("issuer =", "[a]\n‸issuer =").replace("https://a.example", "", 1), "`issuer` must be a text", ""),
        (A.replace("issuer =", "[a]\n‸issuer =").replace("a.example", "a b", 1), "`issuer` must be a text", ""),
        (A.replace("issuer =", "[a]\n‸issuer =").replace("a.example", "\u0430.example", 1), "`issuer` must be", ""),
        (
            f"[a]\n{A.replace('jwks_url', '‸jwks_url').replace('https://a.example/', 'http://a.example/')}",
            "`jwks_url` is not",
            "https://",
        ),
        (
            f"[a]\n{A.replace('jwks_url', '‸jwks_url').replace('a.example/', 'u:p@a.example/')}",
            "`jwks_url` is not",
            "https://",
        ),
        (f"[a]\n{A.replace('jwks_url', '‸jwks_url').replace('/jwks', '/jwks#x')}", "`jwks_url` is not", "https://"),
        (
            f"[a]\n{A.replace('audiences', '‸audiences').replace('[', '').replace(']', '')}",
            "`audiences` must be a list",
            '["griddy"]',
        ),
        (f"[a]\n{A.replace('audiences', '‸audiences').replace('griddy', '')}", "`audiences` must be a text", "quotes"),
        ("[a]\n" + A.replace("audiences", "‸audiences").replace('"griddy"', ""), "`audiences` must be a list of 1", ""),
        (f"[a]\n{A}‸authorized_parties = [1]\n", "`authorized_parties` must be a text", ""),
        (f'[a]\n{A}‸types = ["logout+jwt"]\n', "`types` has an unknown type, `logout+jwt`", "at+jwt and jwt"),
        (f"[a]\n{A}‸clock_skew_seconds = true\n", "`clock_skew_seconds` must be a whole number", ""),
        (f"[a]\n{A}‸clock_skew_seconds = 301\n", "`clock_skew_seconds` must be a whole number", ""),
        (f"[a]\n{A}‸clock_skew_seconds = -1\n", "`clock_skew_seconds` must be a whole number", ""),
        (f"[a]\n{A}‸permissions = []\n", "`permissions` must be the name of a claim", '"scope"'),
        (f'[a]\n{A}‸permissions = ""\n', "`permissions` must be the name of a claim", '"scope"'),
        (f'[a]\n{A}‸permissions = ["a", 1]\n', "`permissions` must be the name of a claim", '"scope"'),
        *(
            (f'[a]\n{A}‸subject_prefix = "{prefix}"\n', "`subject_prefix` is not a prefix", '"partner:"')
            for prefix in ("", ":", "a", "A:", "a:b:", "a|", "a ", "a: ", "1a:", "a::", "\u0430:", f"{'a' * 41}:")
        ),
        *(
            (f'[a]\n{A}‸subject_prefix = "{prefix}"\n', "`subject_prefix` is reserved", "another word")
            for prefix in (
                *("user:", "key:", "role:", "auth:", "env:", "org:", "org-role:", "anonymous:", "identity:"),
                *("app:", "app-kind:", "app-host:"),
            )
        ),
        (f"[a]\n{A}[b]\n{PARTNER}{A.replace('issuer =', '‸issuer =')}", "`a` has the same issuer", "keep one"),
        (f"[a]\n{A}[‸b]\n{B}", "a user of `b` could have the same subject as one of `a`", 'subject_prefix = "b:"'),
        (f"[a]\n{PARTNER}{A}[b]\n{B}‸{PARTNER}", "a user of `b` could have the same subject", 'subject_prefix = "b:"'),
        (f"[a]\n{A}‸delegated = 1\n", "`delegated` must be true or false", "without quotes"),
        (f"[a]\n{A}‸scopes = 'scp'\n", "`scopes` is for the access tokens of apps only", "`delegated = true`"),
        (f"[a]\n{A}delegated = false\n‸scopes = 'scp'\n", "`scopes` is for the access tokens of apps only", ""),
        (
            f"[a]\n{A}‸own_clients = ['x']\n",
            "`own_clients` is for the access tokens of apps only",
            "`authorized_parties`",
        ),
        (f"[a]\n{A}delegated = true\n‸own_clients = 'x'\n", "`own_clients` must be a list", "griddy"),
        (f"[a]\n{A}delegated = true\n‸scopes = 7\n", "`scopes` must be the name of a claim", '"scope"'),
        (f"[a]\n{A}‸organizations = 'auth0'\n", "`organizations` must be the claims", '"clerk"'),
        (f"[a]\n{A}‸organizations = true\n", "`organizations` must be the claims", '"clerk"'),
        (f"[a]\n{A}‸organizations = {{role = 'r'}}\n", "`organizations` must be the claims", ""),
        (f"[a]\n{A}‸organizations = {{id = 'i', rol = 'r'}}\n", "`organizations` has an unknown key, `rol`", "`role`?"),
        (f"[a]\n{A}‸organizations = {{id = []}}\n", "`organizations` must be the name of a claim", '"scope"'),
        ("[a\n", "not TOML", ""),
    ],
)
def test_a_fault_is_at_its_word(text: str, message: str, hint: str) -> None:
    _, faults = read(text.replace(MARK, ""))
    (fault,) = faults
    assert fault.message.startswith(message)
    assert hint in fault.hint
    if MARK in text:
        before = text.partition(MARK)[0]
        assert (fault.line, fault.column) == (before.count("\n") + 1, len(before) - before.rfind("\n"))


@pytest.mark.parametrize(
    ("key", "allowed", "refused"),
    [
        ("permissions", [*"abcdef"], [*"abcdefg"]),
        ("permissions", ["a" * 500], ["a" * 501]),
        ("permissions", "a" * 500, "a" * 501),
        ("authorized_parties", [f"a{number}" for number in range(50)], [f"a{number}" for number in range(51)]),
        ("authorized_parties", ["a" * 500], ["a" * 501]),
        ("clock_skew_seconds", 0, -1),
        ("clock_skew_seconds", 300, 301),
        ("subject_prefix", "a" * 40 + ":", "a" * 41 + ":"),
    ],
)
def test_a_value_may_be_as_large_as_its_limit(key: str, allowed: object, refused: object) -> None:
    assert read(f"[a]\n{A}{key} = {json.dumps(allowed)}\n")[1] == []
    (fault,) = read(f"[a]\n{A}{key} = {json.dumps(refused)}\n")[1]
    assert (fault.line, fault.column) == (5, 1)


def test_organizations_are_those_of_clerk_or_of_claims() -> None:
    found, faults = read(
        f'[a]\n{A}organizations = "clerk"\n[b]\n{B}{PARTNER}[b.organizations]\nid = "org"\nrole = ["o", "r"]\n'
    )
    assert not faults
    assert [issuer.organizations for issuer in found] == ["clerk", OrganizationClaims(("org",), ("o", "r"))]


def test_several_faults_are_reported_together_and_bounded() -> None:
    assert [fault.line for fault in read(f'[a]\n{A}x = 1\ntypes = 1\n[b]\nissuer = "https://b"\n')[1]] == [5, 6, 7, 7]
    assert len(read("".join(f"[a{number}]\nx = 1\n" for number in range(100)))[1]) < MAX_FAULTS + 5
    every = "".join(
        f'[a{number}]\n{A.replace("a.example", f"a{number}.example")}subject_prefix = "a{number}:"\n'
        for number in range(MAX_ISSUERS + 1)
    )
    (fault,) = read(every)[1]
    assert fault.message == "the file has 51 issuers, the limit is 50"
    assert f"[a{MAX_ISSUERS}]" == fault.text


def test_no_two_subjects_of_different_issuers_are_equal() -> None:
    """Prefixes that one text could both begin with are refused, whatever the `sub`."""
    words = ("a", "ab", "a-b", "a.b", "b", "a_")
    for first in words:
        for second in words:
            found, faults = read(f'[x]\n{A}subject_prefix = "{first}:"\n[y]\n{B}subject_prefix = "{second}:"\n')
            assert bool(faults) == (first == second)
            if not faults:
                one, two = (issuer.subject_prefix for issuer in found)
                assert not one.startswith(two) and not two.startswith(one)


def test_the_issuer_of_the_settings_is_the_one_without_a_prefix() -> None:
    def faults(text: str, own: str | None) -> list[str]:
        source = PolicySource({FILE: text}, "r")
        return [str(fault) for fault in deployment_faults(source, load(source, []), own)]

    assert faults(f"[a]\n{A}[b]\n{B}{PARTNER}", None) == []
    assert faults(f"[b]\n{B}{PARTNER}", "https://a.example") == []
    assert faults(f"[b]\n{B}{PARTNER}", "https://b.example/") == []
    (twice,) = faults(f"[b]\n{B}{PARTNER}", "https://b.example")
    assert twice.startswith("issuers.toml:2:1: this is the issuer of AUTHZ_ISSUER")
    (same,) = faults(f"[b]\n{B}", "https://a.example")
    assert same.startswith("issuers.toml:1:2: a user of `b` could have the same subject as one of AUTHZ_ISSUER")
    source = PolicySource({}, "r")
    (none,) = deployment_faults(source, (), None)
    assert (none.code, none.line) == ("no-issuer", 0)
    assert deployment_faults(source, (), "https://a.example") == []


def policy_with(text: str) -> bytes:
    return f"{text}# end\n".encode()


def test_a_change_of_an_issuer_is_a_change_of_the_policy() -> None:
    before = parse(from_bytes(files()))
    after = parse(from_bytes({**files(), FILE: policy_with(f"[a]\n{A}")}))
    assert after.revision != before.revision
    (added,) = changes(before, after)
    assert (added.kind, added.file) == ("added", FILE)
    assert added.row.startswith("issuer a: https://a.example; keys https://a.example/jwks; audiences griddy")
    (file,) = file_changes(before, after, [added])
    assert str(file) == "new: 1 issuer added"
    other = parse(from_bytes({**files(), FILE: policy_with(f"[a]\n{A}types = ['jwt']\n")}))
    assert [change.kind for change in changes(after, other)] == ["removed", "added"]


def test_the_description_tells_every_difference() -> None:
    base = TrustedIssuer("a", "https://a.example", "https://a.example/jwks", ("x",))
    others = [
        replace(base, name="b"),
        replace(base, issuer="https://b.example"),
        replace(base, jwks_url="https://b.example/jwks"),
        replace(base, audiences=("y",)),
        replace(base, authorized_parties=("x",)),
        replace(base, kinds=API_TOKENS - {"jwt"}),
        replace(base, skew_seconds=7),
        replace(base, permissions=("a", "b")),
        replace(base, subject_prefix="a:"),
        replace(base, organizations=CLERK),
        replace(base, organizations=OrganizationClaims(("a",))),
        replace(base, organizations=OrganizationClaims(("a",), ("b",))),
        replace(base, is_delegating=False),
        replace(base, is_delegating=True),
        replace(base, is_delegating=True, scopes=("scp",)),
        replace(base, is_delegating=True, own_clients=("x",)),
    ]
    assert len({describe(issuer) for issuer in (base, *others)}) == len(others) + 1


def test_a_faulty_file_refuses_the_policy() -> None:
    with pytest.raises(PolicyRefused) as refused:
        parse(from_bytes({**files(), FILE: policy_with(f"[a]\n{A}x = 1\n")}))
    assert [fault.place for fault in refused.value.faults] == ["issuers.toml:5:1"]


@pytest.mark.parametrize("name", ["issuer.toml", "Issuers.toml", "issuers.TOML", "issuers.toml.txt"])
def test_a_misspelt_name_is_refused_with_the_right_one(name: str) -> None:
    source = from_bytes({**files(), name: b"# end\n"})
    (fault,) = source.faults
    assert (fault.code, "issuers.toml" in fault.hint) == ("stray-file", True)
