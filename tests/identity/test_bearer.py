"""The Authorization header, as raw as a server hands it over."""

from __future__ import annotations

import pytest

from app.identity.bearer import read_bearer, token_of
from app.identity.errors import Fault, Unauthenticated


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
        (b"Bearer " + b"a" * (8192 - 7), "a" * (8192 - 7)),
        (b"Bearer a,b", "a,b"),
        (b"Bearer a\nb", "a\nb"),
    ],
    ids=str,
)
def test_a_token_is_handed_on_as_it_is(value: bytes, token: str) -> None:
    assert read(value) == token


@pytest.mark.parametrize(
    "value",
    [b"", b" ", b"Basic dTpw", b"Bearerabc", b"Bearer\x0babc", b"Bear", b"Token Bearer abc", b"Basic " + b"a" * 9000],
)
def test_another_scheme_is_none_of_ours(value: bytes) -> None:
    assert read(value) is None


def test_without_the_header_there_is_no_token() -> None:
    assert read_bearer([]) is None
    assert read_bearer([(b"x-authorization", b"Bearer abc"), (b"cache-control", b"Bearer abc")]) is None


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (b"Bearer", Fault.NO_CREDENTIALS),
        (b"Bearer   ", Fault.NO_CREDENTIALS),
        (b"bearer\t", Fault.NO_CREDENTIALS),
        (b"Bearer a b", Fault.SPACES),
        (b"Bearer a\tb", Fault.SPACES),
        (b"Bearer\tabc", Fault.SPACES),
        (b"Bearer grd_live_a b", Fault.SPACES),
        (b"Bearer abc, Bearer abc", Fault.SPACES),
        (b"Bearer " + b"a" * 16_385, Fault.TOKEN),
        (b"Bearer " + b"a " * 16_384, Fault.TOKEN),
        (b"Bearer grd_" + b"a" * 16_384, Fault.KEY_MALFORMED),
        (b"Bearer grd_" + b"a" * 100_000, Fault.KEY_MALFORMED),
        (b"Bearer ab\xe9", Fault.TOKEN),
        (b"Bearer \xc2\xa0abc", Fault.TOKEN),
        (b"Bearer grd_live_\xff\xfe", Fault.KEY_MALFORMED),
    ],
    ids=lambda value: value[:24] if isinstance(value, bytes) else None,
)
def test_a_malformed_header_has_its_fault(value: bytes, fault: Fault) -> None:
    with pytest.raises(Unauthenticated) as refused:
        read(value)
    assert refused.value.fault is fault


@pytest.mark.parametrize(
    "values", [(b"Bearer a", b"Bearer a"), (b"Basic a", b"Bearer a"), (b"Basic a", b"Basic b"), (b"", b"")]
)
def test_two_headers_are_refused_even_if_they_are_equal(values: tuple[bytes, ...]) -> None:
    with pytest.raises(Unauthenticated) as refused:
        read(*values)
    assert refused.value.fault is Fault.SENT_TWICE


def test_a_second_header_cannot_hide_in_capitals() -> None:
    with pytest.raises(Unauthenticated) as refused:
        read_bearer([(b"Authorization", b"Bearer a"), (b"authorization", b"Bearer b")])
    assert refused.value.fault is Fault.SENT_TWICE


def test_a_token_is_as_long_as_the_limit_at_most() -> None:
    assert token_of(b"Bearer " + b"a" * 10, 10) == "a" * 10
    with pytest.raises(Unauthenticated) as refused:
        token_of(b"Bearer " + b"a" * 11, 10)
    assert refused.value.word == "too_long"
