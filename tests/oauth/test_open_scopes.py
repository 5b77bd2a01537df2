"""The scopes that an app may ask for which no administrator registered."""

from __future__ import annotations

from app.oauth.open_scopes import first_scopes, open_scopes
from tests.policy.small import snapshot

READ, WRITE = "p, a:read, /x, GET, allow", "p, a:write, /x, POST, allow"


def test_an_app_asks_at_first_only_to_read() -> None:
    policy = snapshot(
        READ,
        WRITE,
        "p, app-kind:document, scope:a:read, ask, allow",
        "p, app-kind:document, scope:a:write, ask, allow",
        "p, app-kind:registered, scope:b:read, ask, allow",
        "p, app:acme, scope:b:read, ask, allow",
    )
    assert open_scopes(policy) == ("a:read", "a:write")
    assert first_scopes(policy) == ("a:read",)


def test_a_policy_that_names_registered_apps_alone_opens_nothing() -> None:
    policy = snapshot(READ, "p, app-kind:registered, scope:a:read, ask, allow")
    assert open_scopes(policy) == first_scopes(policy) == ()
