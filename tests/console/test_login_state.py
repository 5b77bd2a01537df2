"""The state of a sign-in: the content of its cookie, and the pages to which it may return."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from hashlib import sha256

import pytest

from app.console.login_state import HOME, LoginState, begin, local_path, read

TOKENS = ("s" * 43, "n" * 43, "v" * 43)


def encoded(to: bytes) -> str:
    return urlsafe_b64encode(to).rstrip(b"=").decode()


def cookie(*tokens: str, to: bytes = b"/console/keys") -> str:
    return ".".join((*(tokens or TOKENS), encoded(to)))


def test_each_sign_in_has_three_new_secrets_that_its_repr_hides() -> None:
    begun = [begin("/console/keys") for _ in range(2)]
    secrets = {secret for each in begun for secret in (each.state, each.nonce, each.verifier)}
    assert len(secrets) == 6
    assert all(re.fullmatch("[A-Za-z0-9_-]{43}", secret) for secret in secrets), "256 random bits"
    assert not any(secret in repr(begun) for secret in secrets)
    challenge = urlsafe_b64encode(sha256(begun[0].verifier.encode()).digest()).rstrip(b"=").decode()
    assert begun[0].challenge == challenge


@pytest.mark.parametrize("length", range(12))
def test_the_state_survives_the_cookie(length: int) -> None:
    for to in ("/console/a" + "a" * length, "/console?" + "/" * length):
        begun = begin(to)
        assert begun.to == to
        assert read(begun.cookie()) == begun
    assert read(cookie()) == LoginState(*TOKENS, "/console/keys")


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", ".", "...", cookie()[:-19], cookie() + ".", cookie() + "=", cookie() + "\n", " " + cookie()),
        *(cookie("s" * 42, *TOKENS[1:]), cookie("s" * 44, *TOKENS[1:]), cookie("s" * 42 + "+", *TOKENS[1:])),
        *(cookie(*TOKENS[:1], "n" * 42, "v" * 43), cookie(*TOKENS[:2], "v" * 44), cookie(*TOKENS, "x" * 43)),
        *(".".join((*TOKENS, "A")), cookie(to=b"\xff"), ".".join((*TOKENS, "A" * 2001))),
    ],
)
def test_an_invalid_cookie_has_no_state(value: str | None) -> None:
    assert read(value) is None


@pytest.mark.parametrize("to", [b"https://evil.example/", b"/console/sign-in", b"", b"/console/" + b"a" * 1000])
def test_a_cookie_with_another_address_leads_to_the_front_page(to: bytes) -> None:
    assert read(cookie(to=to)) == LoginState(*TOKENS, HOME)


@pytest.mark.parametrize(
    "path",
    [
        *("/console", "/console/keys", "/console/keys/7/rotate", "/console?tab=1", "/console/a.b~c_d-e%20/{id}"),
        *("/console/decisions?to=//x@y:1&a=!$'()*+,;", "/console/" + "a" * 991, "/console/sign", "/console/account"),
    ],
)
def test_a_sign_in_may_return_to_a_page_of_the_console(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "console", "/consolex", "/api", "//console", "/console/", "/console//keys", "/console/keys/"),
        *(
            "/console/..",
            "/console/a..b",
            "/console?a=..",
            "/console/keys#a",
            "/console/a b",
            "/console/é",
            "/console\n",
        ),
        *("/console/a\\b", "/console?a=\\", "/console:80", "/console@evil.example", "/console/a\nb", "/console?\r\n"),
        *("/console/" + "a" * 992, "/console?" + "a" * 992, "https://evil.example/console"),
        *("/console/sign-in", "/console/sign-in/start", "/console/callback?code=x", "/console/callback"),
        *("/console/sign-out", "/console/sign-out/everywhere", "/console/signed-out"),
    ],
)
def test_any_other_address_becomes_the_front_page(path: str) -> None:
    assert local_path(path) == HOME == "/console"
