"""JWK sets, as an issuer might publish them: read, or refused; no key that is weak or known to others is used."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hypothesis.strategies import SearchStrategy

from app.dev.issuer import Issuer
from app.identity.jwk import DocumentRefused, read_key_set
from scripts.fuzz.mutations import mutated, mutated_json
from scripts.fuzz.signing import KEY
from scripts.fuzz.target import Check, Target, Violation

_JWK = Issuer(KEY).jwks()["keys"][0]
_KEYS = (
    {"keys": [_JWK]},
    {"keys": [_JWK, {**_JWK, "kid": "b"}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]},
    {"keys": [{"kty": "RSA", "n": _JWK["n"], "e": "AQAB", "key_ops": ["verify"], "alg": None, "use": None}]},
)
EXAMPLES = tuple(json.dumps(each).encode() for each in _KEYS)
_WORDS = (
    *(b'"d":"AQAB"', b'"p":"AQ"', b'"oth":[{"r":"Aw"}]', b'"e":"Aw"', b"AQAB", b"A" * 4_000, b"=", b"_", b"-", b"+"),
    *(b'"kid":', b'"kty":"RSA"', b'"use":"enc"', b'"keys":', b"null", b"\xef\xbb\xbf", b"\\ud800"),
)
_FIELDS = ("kty", "n", "e", "kid", "alg", "use", "key_ops", "d", "p", "q", "oth", "keys")


@contextmanager
def _opened() -> Iterator[Check]:
    yield check


def check(data: bytes) -> None:
    """Read a key set."""
    try:
        found = read_key_set(data)
    except DocumentRefused as refused:
        if not str(refused) or len(str(refused)) > 2_000:
            raise Violation(f"no message, or a very long one: {str(refused)[:300]!r}") from None
        return
    for exponent, modulus in found.numbers:
        if modulus.bit_length() < 2048 or modulus % 2 == 0 or exponent < 65537:
            raise Violation(f"a weak key is used: {modulus.bit_length()} bits, exponent {exponent}")
    if any(len(keys) == 0 for keys in found.by_id.values()) or (found.only is not None) != (found.count == 1):
        raise Violation("the keys do not fit one another")
    for jwk in json.loads(data.decode("utf-8-sig"))["keys"]:
        if isinstance(jwk, dict) and jwk.get("d") is not None and jwk.get("n") == _JWK["n"] and _is_used(found.numbers):
            raise Violation("a key whose private part is published is used")


def _is_used(numbers: frozenset[tuple[int, int]]) -> bool:
    return any(modulus == KEY.public_key().public_numbers().n for _, modulus in numbers)


def _inputs(seeds: Sequence[bytes]) -> SearchStrategy[bytes]:
    return mutated_json(_KEYS, _FIELDS) | mutated([*EXAMPLES, *seeds], _WORDS)


TARGET = Target("key_sets", EXAMPLES, _inputs, _opened)
