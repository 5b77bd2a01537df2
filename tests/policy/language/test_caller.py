"""Callers as people write them, and the rows that say what apps may ask for."""

from __future__ import annotations

import pytest

from app.policy.language.caller import caller_fault, caller_words, read_caller
from app.policy.language.fault import PolicyRefused
from app.policy.language.grants import stated_fault
from app.policy.language.load import parse
from app.policy.language.source import from_bytes
from tests.policy.conftest import Said
from tests.policy.small import PERMISSIONS, files


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("auth:jwt a:read", {"auth:jwt", "a:read"}),
        (
            "app:acme a:read for user:ann b:read",
            {"auth:oauth", "app:acme", "consented::a:read", "on-behalf::user:ann", "on-behalf::b:read"},
        ),
        ("app-kind:dynamic", {"auth:oauth", "app-kind:dynamic"}),
        ("auth:oauth anyone a:read", {"auth:oauth", "anyone", "consented::a:read"}),
        ("app:acme for role:editor anyone", {"auth:oauth", "app:acme", "on-behalf::role:editor"}),
    ],
)
def test_the_grants_of_an_app_and_of_its_user_are_marked(text: str, held: set[str]) -> None:
    words = text.split()
    assert caller_fault(words) is None
    assert stated_fault(words, PERMISSIONS, ()) is None or "role:" in text
    found = read_caller(words)
    assert found == held
    assert read_caller(caller_words(found)) == found, "what is shown can be asked again"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("app:acme user:ann", "user:ann"),
        ("app:acme auth:jwt for user:ann", "auth:jwt"),
        ("auth:jwt for user:ann", "auth:jwt"),
        ("app:acme key:7 for user:ann", "key:7"),
        ("app:acme env:live", "env:live"),
        ("app:acme role:editor for user:ann", "role:editor"),
        ("app:acme for auth:jwt user:ann", "auth:jwt"),
        ("app:acme for user:ann key:7", "key:7"),
        ("app:acme for user:ann app:other", "app:other"),
        ("app:acme for", "for"),
        ("app:acme for user:ann for user:bob", "for"),
        ("for", "for"),
    ],
)
def test_a_grant_on_the_wrong_side_is_a_fault(text: str, word: str) -> None:
    fault = caller_fault(text.split())
    assert fault is not None
    assert fault[2] == word
    assert fault[1]


@pytest.mark.parametrize(
    "row",
    [
        "p, anyone, scope:a:read, ask, allow",
        "p, auth:jwt, scope:a:read, ask, allow",
        "p, user:ann app:acme, scope:a:read, ask, allow",
        "p, a:read, scope:a:read, ask, allow",
        "p, role:editor, scope:a:read, ask, allow",
        "p, anyone, scope:a:read, ask, deny",
        "p, app:acme, scope:a:raed, ask, allow",
        "p, app:acme, scope, ask, allow",
        "p, app:acme, scope:a:read, read, allow",
        "p, app:acme, scope:a:read, ask|read, allow",
        "p, app:acme, scope:a:read, ask, allow, subject.id == 'ann'",
        "p, app-kind:unknown, scope:a:read, ask, allow",
        "p, app:a|b, scope:a:read, ask, allow",
        "p, app-host:Acme.example, scope:a:read, ask, allow",
        "p, app:https://Acme.example/c, scope:a:read, ask, allow",
        "g, a:read, app:acme",
        "g, app:acme, auth:oauth",
    ],
)
def test_a_row_about_apps_that_is_not_valid_is_refused(row: str, said: Said) -> None:
    with pytest.raises(PolicyRefused) as refused:
        parse(from_bytes(files("p, a:read, /x, GET, allow", row)))
    (fault,) = refused.value.faults
    assert (fault.file, fault.line) == ("rows.csv", 2)
    said([fault])


@pytest.mark.parametrize("name", ["app:read", "app-kind:read", "app-host:read"])
def test_no_permission_has_the_name_of_a_fact_of_apps(name: str) -> None:
    source = {**files(), "permissions.toml": f'["{name}"]\ntitle = "t"\ngrants = "g"\n# end\n'.encode()}
    with pytest.raises(PolicyRefused) as refused:
        parse(from_bytes(source))
    assert "reserved" in refused.value.faults[0].message
