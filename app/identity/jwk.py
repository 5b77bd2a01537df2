"""Strict reader of a JWK Set (RFC 7517): the keys that may verify an RS256 signature, and why others are ignored."""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from app.identity.roca import is_roca_modulus

ALGORITHM = "RS256"
MAX_KEYS = 100
MAX_ENTRIES = 5_000  # all are searched for private material
MAX_LISTED = 20  # ignored keys that are described one by one
_MAX_SAME_KID = 8  # each may be tried to verify a token
_MAX_NAME = 64  # characters of a `kid` in messages
_MIN_BITS = 2048
_MAX_BITS = 8192  # a longer modulus makes each verification slow
_MIN_EXPONENT = 65537  # FIPS 186-5 section A.1.1
_MAX_EXPONENT_BITS = 64  # a longer exponent makes each verification slow
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

# The keys with one `kid`: usually one, never none.
Keys = tuple[RSAPublicKey, ...]
_Number = tuple[int, int]


class IgnoredReason(StrEnum):
    """Why a JWK is not used: a label of the metrics."""

    NOT_AN_OBJECT = "not_an_object"
    NOT_RSA = "not_rsa"
    USE = "use"
    KEY_OPS = "key_ops"
    ALG = "alg"
    KID = "kid"
    PRIVATE = "private"
    MALFORMED = "malformed"
    MODULUS = "modulus"
    EXPONENT = "exponent"
    TOO_MANY = "too_many"


class DocumentRefused(Exception):
    """The document has no usable key. The message gives the reason and quotes no key.

    `ignored` has the keys that are not used, and `revealed` those whose private part the document contains.
    """

    def __init__(self, message: str, ignored: IgnoredKeys | None = None, revealed: RevealedKeys | None = None) -> None:
        super().__init__(message)
        self.ignored = ignored or IgnoredKeys()
        self.revealed = revealed or RevealedKeys()


class RevealedKeys:
    """The RSA keys whose private part a document contains, by their modulus or its prime factors."""

    def __init__(self) -> None:
        self._moduli: set[int] = set()
        self._factors: set[int] = set()

    def add(self, jwk: Mapping[str, object]) -> None:
        """Add a JWK with private members, whatever its exponent. Members that are not numbers are ignored."""
        others = jwk.get("oth")
        primes = [(jwk, "p"), (jwk, "q")]
        primes += [(other, "r") for other in others if isinstance(other, dict)] if isinstance(others, list) else []
        self._moduli.update(_valid_numbers(jwk, "n"))
        self._factors.update(prime for source, name in primes for prime in _valid_numbers(source, name))

    def has(self, modulus: int) -> bool:
        """Whether the private part of a key is known: one prime factor of its modulus gives the others."""
        return modulus in self._moduli or any(modulus % factor == 0 for factor in self._factors)


class _UnusableJwk(Exception):
    """A JWK cannot verify an RS256 signature."""

    def __init__(self, reason: IgnoredReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class IgnoredKeys:
    """The keys of a document that are not used: a text for each of the first, and the number for each reason."""

    texts: tuple[str, ...] = ()
    counts: Mapping[IgnoredReason, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PublishedKeys:
    """The usable keys of one document.

    `only` is set if exactly one key is usable: it verifies tokens without a `kid`.
    """

    by_id: Mapping[str, Keys]
    only: Keys | None
    numbers: frozenset[_Number]
    ignored: IgnoredKeys

    @property
    def count(self) -> int:
        """The number of distinct keys."""
        return len(self.numbers)


def read_key_set(body: bytes, max_keys: int = MAX_KEYS) -> PublishedKeys:
    """Read a JWK Set. A key that cannot be used is ignored and does not affect the others. Keys after the first
    `max_keys` are only searched for private material.

    Raises DocumentRefused if the body is not a JWK Set, has more than MAX_ENTRIES keys, or has no usable key.
    """
    entries = _entries(body)
    ignored: list[tuple[str, _UnusableJwk]] = []
    usable: list[tuple[str, str | None, _Number]] = []
    revealed = RevealedKeys()
    for index, entry in enumerate(entries):
        name = _name(entry, index)
        try:
            jwk = _object(entry)
            if not _PRIVATE.isdisjoint(jwk):
                # Another entry may publish the public part of the same key.
                revealed.add(jwk)
                raise _UnusableJwk(IgnoredReason.PRIVATE, "it contains private material, so others can sign with it")
            if index >= max_keys:
                raise _UnusableJwk(IgnoredReason.TOO_MANY, f"only the first {max_keys} keys are read")
            usable.append((name, *_candidate(jwk)))
        except _UnusableJwk as error:
            ignored.append((name, error))
    by_id, distinct = _by_id(usable, revealed, ignored)
    summary = _summary(ignored)
    if not distinct:
        raise DocumentRefused(
            "it has no usable key" + (f" ({summary.texts[0]})" if summary.texts else ""), summary, revealed
        )
    only = tuple(distinct.values()) if len(distinct) == 1 else None
    return PublishedKeys(MappingProxyType(by_id), only, frozenset(distinct), summary)


def _by_id(
    usable: Iterable[tuple[str, str | None, _Number]], revealed: RevealedKeys, ignored: list[tuple[str, _UnusableJwk]]
) -> tuple[dict[str, Keys], dict[_Number, RSAPublicKey]]:
    """The keys by `kid`, and by their numbers. Keys that turn out to be unusable are added to `ignored`."""
    distinct: dict[_Number, RSAPublicKey] = {}
    by_id: dict[str, Keys] = {}
    for name, kid, numbers in usable:
        try:
            if revealed.has(numbers[1]):
                raise _UnusableJwk(IgnoredReason.PRIVATE, "its private material is published in another entry")
            same_kid = by_id.get(kid, ()) if kid is not None else ()
            key = _public_key(*numbers)
            if key in same_kid:
                continue
            if len(same_kid) >= _MAX_SAME_KID:
                raise _UnusableJwk(IgnoredReason.TOO_MANY, f"{_MAX_SAME_KID} other keys have its kid")
        except _UnusableJwk as error:
            ignored.append((name, error))
            continue
        distinct[numbers] = key
        if kid is not None:
            by_id[kid] = (*same_kid, key)
    return by_id, distinct


def _summary(ignored: list[tuple[str, _UnusableJwk]]) -> IgnoredKeys:
    texts = [f"{name}: {error}" for name, error in ignored[:MAX_LISTED]]
    if len(ignored) > MAX_LISTED:
        texts.append(f"and {len(ignored) - MAX_LISTED} more")
    return IgnoredKeys(tuple(texts), MappingProxyType(Counter(error.reason for _, error in ignored)))


def _entries(body: bytes) -> list[object]:
    try:
        # RFC 8259 section 8.1: a byte order mark may be ignored.
        document = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise DocumentRefused("it is not JSON") from None
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise DocumentRefused("it is not a JWK Set: an object with a list `keys` is expected")
    if len(entries) > MAX_ENTRIES:
        raise DocumentRefused(f"it has more than {MAX_ENTRIES} keys")
    return entries


def _object(entry: object) -> Mapping[str, object]:
    """The members of a JWK that are not null. Raises _UnusableJwk."""
    if not isinstance(entry, dict):
        raise _UnusableJwk(IgnoredReason.NOT_AN_OBJECT, "not an object")
    return {name: value for name, value in entry.items() if value is not None}


def _candidate(jwk: Mapping[str, object]) -> tuple[str | None, _Number]:
    """The `kid` and the numbers of a JWK for RS256 signatures. Raises _UnusableJwk."""
    if jwk.get("kty") != "RSA":
        raise _UnusableJwk(IgnoredReason.NOT_RSA, "not an RSA key")
    if jwk.get("use", "sig") != "sig":
        raise _UnusableJwk(IgnoredReason.USE, "its use is not sig")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise _UnusableJwk(IgnoredReason.KEY_OPS, "its key_ops do not have verify")
    if jwk.get("alg", ALGORITHM) != ALGORITHM:
        raise _UnusableJwk(IgnoredReason.ALG, f"its alg is not {ALGORITHM}")
    kid = jwk.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise _UnusableJwk(IgnoredReason.KID, "its kid is not a string")
    modulus, exponent = _number(jwk, "n"), _number(jwk, "e")
    if not _MIN_BITS <= modulus.bit_length() <= _MAX_BITS:
        message = f"its modulus has {modulus.bit_length()} bits, not {_MIN_BITS} to {_MAX_BITS}"
        raise _UnusableJwk(IgnoredReason.MODULUS, message)
    if modulus % 2 == 0:
        raise _UnusableJwk(IgnoredReason.MODULUS, "its modulus is even")
    if is_roca_modulus(modulus):
        raise _UnusableJwk(
            IgnoredReason.MODULUS, "its private part can be computed (ROCA, CVE-2017-15361): make a new key"
        )
    if exponent < _MIN_EXPONENT:
        raise _UnusableJwk(IgnoredReason.EXPONENT, f"its exponent is less than {_MIN_EXPONENT}")
    if exponent.bit_length() > _MAX_EXPONENT_BITS:
        raise _UnusableJwk(IgnoredReason.EXPONENT, f"its exponent has over {_MAX_EXPONENT_BITS} bits")
    return kid, (exponent, modulus)


def _public_key(exponent: int, modulus: int) -> RSAPublicKey:
    try:
        return RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError:
        raise _UnusableJwk(IgnoredReason.MALFORMED, "its numbers are not an RSA key") from None


def _valid_numbers(jwk: Mapping[str, object], name: str) -> Iterator[int]:
    """A member of a JWK if it can be a modulus or a factor of one."""
    try:
        number = _number(jwk, name)
    except _UnusableJwk:
        return
    if number > 1:
        yield number


def _number(jwk: Mapping[str, object], name: str) -> int:
    """Read a Base64urlUInt (RFC 7518 section 2); some issuers pad it, or use plain base64. Raises _UnusableJwk."""
    text = jwk.get(name)
    if not isinstance(text, str) or not text:
        raise _UnusableJwk(IgnoredReason.MALFORMED, f"its {name} is not base64url")
    digits = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return int.from_bytes(b64decode(digits + "==="[: -len(digits) % 4], validate=True), "big")
    except (ValueError, binascii.Error):
        raise _UnusableJwk(IgnoredReason.MALFORMED, f"its {name} is not base64url") from None


def _name(entry: object, index: int) -> str:
    kid = entry.get("kid") if isinstance(entry, Mapping) else None
    return f"key {kid[:_MAX_NAME]!r}" if isinstance(kid, str) else f"key {index + 1}"
