"""The cookies of the console."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from app.console.cookies import cookie, csrf_token, digest, new_token, read, session_token

TOKEN = "a" * 21 + "-_" + "Z9" * 10


def headers(*values: str) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"console"), *((b"cookie", value.encode("latin-1")) for value in values), (b"accept", b"*/*")]


def test_a_token_has_256_random_bits() -> None:
    tokens = {new_token() for _ in range(50)}
    assert len(tokens) == 50
    assert {len(token) for token in tokens} == {43}
    assert all(session_token(headers(f"authz={token}"), secure=False) == token for token in tokens)


def test_the_digest_and_the_csrf_token_derive_from_the_session_token() -> None:
    assert digest(TOKEN) == hashlib.sha256(TOKEN.encode()).digest()
    assert csrf_token(TOKEN) == hmac.new(TOKEN.encode(), b"csrf", "sha256").hexdigest()


@pytest.mark.parametrize(
    ("secure", "name", "key"),
    [
        (False, None, "authz"),
        (True, None, "__Host-authz"),
        (False, "authz-sign-in", "authz-sign-in"),
        (True, "authz-sign-in", "__Host-authz-sign-in"),
    ],
)
def test_a_cookie_is_bound_to_the_host_and_hidden_from_scripts(secure: bool, name: str | None, key: str) -> None:
    named = {} if name is None else {"name": name}
    made = cookie(TOKEN, secure=secure, max_age=60, **named)
    written = made.to_header(header="")
    flags = {part.strip().lower() for part in written.split(";")[1:]}
    assert written.startswith(f"{key}={TOKEN};")
    assert flags == {"httponly", "path=/", "samesite=lax", "max-age=60", *(["secure"] if secure else [])}
    assert read(headers(f"{key}={TOKEN}"), secure=secure, **named) == TOKEN
    assert read(headers(f"{key}={TOKEN}"), secure=not secure, **named) is None
    assert read(headers(f"{key}={TOKEN}"), secure=secure, name="other") is None


@pytest.mark.parametrize(
    "values",
    [
        (f"authz={TOKEN}",),
        (f"a=b; authz={TOKEN};c=d",),
        (f"authz={TOKEN}; Authz=x; authz-sign-in=y; xauthz=z; __Host-authz=w",),
        ("a=b", f"authz={TOKEN}"),
        (f" authz={TOKEN} ",),
        (f"authz-sign-in; authz={TOKEN}",),
    ],
)
def test_a_session_is_found_among_other_cookies(values: tuple[str, ...]) -> None:
    assert session_token(headers(*values), secure=False) == TOKEN


@pytest.mark.parametrize(
    "values",
    [
        (),
        ("",),
        ("authz",),
        ("authz=",),
        (f"authz={TOKEN}; authz={TOKEN}",),
        (f"authz={TOKEN}", f"authz={TOKEN}"),
        (f"authz={TOKEN}; authz=",),
        (f"authz={TOKEN}; authz={TOKEN}; authz={TOKEN}",),
        (f"authz={TOKEN[1:]}",),
        (f"authz={TOKEN}x",),
        (f"authz={TOKEN[1:]}=",),
        (f"authz={TOKEN[1:]}é",),
        (f'authz="{TOKEN}"',),
        (f"authz ={TOKEN}",),
        (f"AUTHZ={TOKEN}",),
    ],
)
def test_a_missing_repeated_or_malformed_cookie_is_no_session(values: tuple[str, ...]) -> None:
    assert session_token(headers(*values), secure=False) is None


def test_a_cookie_in_another_header_is_ignored() -> None:
    assert session_token([(b"x-cookie", f"authz={TOKEN}".encode())], secure=False) is None
