"""The `scope` of a request."""

from __future__ import annotations

import pytest

from app.oauth.errors import OAuthError
from app.oauth.scope import is_write, scopes_of

LONGEST = "a" * 2_000


@pytest.mark.parametrize(
    ("text", "scopes"),
    [
        (None, None),
        ("", None),
        ("openid", None),
        ("email offline_access openid profile", None),
        ("b:read a:read b:read openid", ("a:read", "b:read")),
        ("a", ("a",)),
        ("!~#[]", ("!~#[]",)),
        (LONGEST, (LONGEST,)),
    ],
)
def test_the_scopes_in_a_parameter(text: str | None, scopes: tuple[str, ...] | None) -> None:
    assert scopes_of(text, lambda _: True) == scopes


@pytest.mark.parametrize(
    "text", [f"{LONGEST}a", " ", " a", "a ", "a  b", "a\tb", 'a"', "a\\", "\u00e9", "a\x7f", "a\nb"], ids=ascii
)
def test_what_is_no_list_of_words_is_refused(text: str) -> None:
    with pytest.raises(OAuthError, match="separated by single spaces") as refused:
        scopes_of(text, lambda _: True)
    assert refused.value.code == "invalid_scope"


def test_an_unknown_scope_is_refused() -> None:
    with pytest.raises(OAuthError, match="may not ask for") as refused:
        scopes_of("a:read openid c:read", {"a:read"}.__contains__)
    assert refused.value.code == "invalid_scope"
    with pytest.raises(OAuthError, match="of your own"):
        scopes_of("c:read", {"a:read"}.__contains__, "Not one of your own.")


def test_whether_a_scope_is_for_more_than_reading() -> None:
    assert [is_write(scope) for scope in ("a:read", "a:write", "read", "a:reads")] == [False, True, True, True]
