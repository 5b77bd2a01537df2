"""The raw Authorization header."""

from __future__ import annotations

import pytest

from app.identity.bearer import authorization, parse_bearer_token
from app.identity.errors import AuthenticationFault, Unauthenticated


def read_bearer(headers: list[tuple[bytes, bytes]]) -> str | None:
    value = authorization(headers)
    return None if value is None else parse_bearer_token(value)


def read(*values: bytes) -> str | None:
    return read_bearer([(b"host", b"api"), *((b"authorization", value) for value in values), (b"accept", b"*/*")])


@pytest.mark.parametrize(
    ("value", "token"),
    [
        (b"Bearer abc", "abc"),
        (b"bearer abc", "abc"),
        (b"BEARER abc", "abc"),
        (b"Bearer    abc", "abc"),
        (b" \tBearer abc \t", "abc"),
        (b"Bearer " + b"a" * 16_384, "a" * 16_384),
        (b"bearer " + b"a" * 16_384, "a" * 16_384),
        (b"Bearer a,b", "a,b"),
        (b"Bearer a\nb", "a\nb"),
    ],
    ids=str,
)
def test_a_token_is_returned_unchanged(value: bytes, token: str) -> None:
    assert read(value) == token


@pytest.mark.parametrize(
    "value",
    [b"", b" ", b"Basic dTpw", b"Bearerabc", b"Bearer\x0babc", b"Bear", b"Token Bearer abc", b"Basic " + b"a" * 9000],
)
def test_another_scheme_is_no_bearer_token(value: bytes) -> None:
    assert read(value) is None


def test_without_the_header_there_is_no_token() -> None:
    assert read_bearer([]) is None
    assert read_bearer([(b"x-authorization", b"Bearer abc"), (b"cache-control", b"Bearer abc")]) is None


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (b"Bearer", "no_credentials"),
        (b"Bearer   ", "no_credentials"),
        (b"bearer\t", "no_credentials"),
        (b"Bearer a b", "spaces"),
        (b"Bearer a\tb", "spaces"),
        (b"Bearer\tabc", "spaces"),
        (b"Bearer a \xe9", "spaces"),
        (b"Bearer grd_live_a b", "spaces"),
        (b"Bearer abc, Bearer abc", "spaces"),
        (b"Bearer " + b"a" * 16_385, "too_long"),
        (b"bearer " + b"a" * 16_385, "too_long"),
        (b"Bearer " + b"a " * 16_384, "too_long"),
        (b"Bearer " + b"\xe9" * 16_385, "too_long"),
        (b"Bearer grd_" + b"a" * 16_384, "key_malformed"),
        (b"bearer grd_" + b"a" * 16_384, "key_malformed"),
        (b"Bearer grd_" + b"a" * 100_000, "key_malformed"),
        (b"Bearer ab\xe9", "not_ascii"),
        (b"Bearer \xc2\xa0abc", "not_ascii"),
        (b"Bearer " + b"\xe9" * 16_384, "not_ascii"),
        (b"Bearer grd_live_\xff\xfe", "key_malformed"),
    ],
    ids=lambda value: value[:24] if isinstance(value, bytes) else None,
)
def test_a_malformed_header_is_refused_with_its_fault(value: bytes, word: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        read(value)
    assert refused.value.code == word


@pytest.mark.parametrize(
    "values", [(b"Bearer a", b"Bearer a"), (b"Basic a", b"Bearer a"), (b"Basic a", b"Basic b"), (b"", b"")]
)
def test_two_headers_are_refused_even_if_they_are_equal(values: tuple[bytes, ...]) -> None:
    with pytest.raises(Unauthenticated) as refused:
        read(*values)
    assert refused.value.fault is AuthenticationFault.SENT_TWICE


def test_a_second_header_in_capitals_is_noticed() -> None:
    with pytest.raises(Unauthenticated) as refused:
        read_bearer([(b"Authorization", b"Bearer a"), (b"authorization", b"Bearer b")])
    assert refused.value.fault is AuthenticationFault.SENT_TWICE


@pytest.mark.parametrize("start", [b"Bearer ", b"bearer ", b"Bearer  ", b" Bearer "])
def test_a_token_is_at_most_as_long_as_the_limit(start: bytes) -> None:
    for length in (1, 9, 10):
        assert parse_bearer_token(start + b"a" * length, 10) == "a" * length
    for length in (11, 12, 17, 18):
        with pytest.raises(Unauthenticated) as refused:
            parse_bearer_token(start + b"a" * length, 10)
        assert refused.value.code == "too_long"
