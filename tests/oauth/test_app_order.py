"""What is wrong with a requested app, and with a change of one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from app.oauth.app_order import faults_of

URI = "https://app.example/cb"
PRIVATE = "com.example.app:/cb"
TWENTY = [f"{URI}/{number}" for number in range(20)]
NO_SCHEMES = "must begin with https://, or with http:// and a loopback host"


@pytest.mark.parametrize(
    ("name", "redirect_uris"),
    [("Scores", [URI]), (None, [URI]), ("Scores", None), (None, None), ("x" * 60, TWENTY), ("Scores", (URI,))],
)
def test_what_is_accepted(name: str | None, redirect_uris: Sequence[str] | None) -> None:
    for by_administrator in (True, False):
        assert faults_of(name, redirect_uris, by_administrator=by_administrator) == []


def test_the_faults_of_a_name_and_of_redirects() -> None:
    for name, redirect_uris, expected in (
        ("", None, [("name", "must not be blank")]),
        (None, [], [("redirect_uris", "must have at least one")]),
        (None, [*TWENTY, URI], [("redirect_uris", "must have at most 20")]),
        (None, ["x"] * 21, [("redirect_uris", "must have at most 20")]),
        (None, [URI, URI], [("redirect_uris", "a redirect URI is here twice")]),
        ("", [URI, "x"], [("name", "must not be blank"), ("redirect_uris.1", "must be an absolute URI")]),
    ):
        for by_administrator in (True, False):
            found = faults_of(name, redirect_uris, by_administrator=by_administrator)
            assert [each.field for each in found] == [field for field, _ in expected]
            assert all(each.message.startswith(begin) for each, (_, begin) in zip(found, expected, strict=True))


def test_an_administrator_may_enter_a_private_scheme_and_no_asterisk() -> None:
    assert faults_of(None, [PRIVATE], by_administrator=True) == []
    (private,) = faults_of(None, [PRIVATE], by_administrator=False)
    assert private.message == NO_SCHEMES
    assert faults_of(None, [f"{URI}*"], by_administrator=False) == []
    (wildcard,) = faults_of(None, [f"{URI}*"], by_administrator=True)
    assert wildcard.message.startswith("must not have `*`")
    (other,) = faults_of(None, ["http://*.example/"], by_administrator=True)
    assert "must have a host" in other.message, "the first fault of a redirect is stated"
