"""A JWK Set (RFC 7517), read strictly: which of its keys may verify an RS256 signature, and why not the rest."""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

ALGORITHM = "RS256"
_MIN_BITS = 2048
_MAX_BITS = 8192  # a longer modulus makes each verification slow
_MAX_EXPONENT_BITS = 64  # so does a long exponent
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class DocumentRefused(Exception):
    """The document holds nothing to verify with. The message says why and quotes no key."""


class _Unfit(Exception):
    """One JWK cannot verify an RS256 signature."""


@dataclass(frozen=True, slots=True)
class PublishedKeys:
    """The usable keys of one document.

    `only` is the key when exactly one is usable: the one that a token without a `kid` can mean.
    `ignored` has one text for each JWK that is not used.
    """

    by_id: Mapping[str, RSAPublicKey]
    only: RSAPublicKey | None
    ignored: tuple[str, ...]


def read_key_set(body: bytes, max_keys: int) -> PublishedKeys:
    """The keys of a JWK Set. A bad JWK is ignored and spoils no other.

    Raises DocumentRefused when the body is no JWK Set, has over `max_keys` keys, or none that is usable.
    """
    entries = _entries(body)
    if len(entries) > max_keys:
        raise DocumentRefused(f"it has {len(entries)} keys, at most {max_keys} are read")
    candidates: list[tuple[str, str | None, Mapping[str, object]]] = []
    ignored: list[str] = []
    for index, entry in enumerate(entries):
        name = _name(entry, index)
        try:
            candidates.append((name, *_candidate(entry)))
        except _Unfit as reason:
            ignored.append(f"{name}: {reason}")
    times = Counter(kid for _, kid, _ in candidates)
    by_id: dict[str, RSAPublicKey] = {}
    usable: list[RSAPublicKey] = []
    for name, kid, jwk in candidates:
        try:
            if kid is not None and times[kid] > 1:
                raise _Unfit("its kid is published more than once")
            key = _public_key(jwk)
        except _Unfit as reason:
            ignored.append(f"{name}: {reason}")
            continue
        usable.append(key)
        if kid is not None:
            by_id[kid] = key
    if not usable:
        raise DocumentRefused("it has no usable key" + (f" ({ignored[0]})" if ignored else ""))
    return PublishedKeys(
        by_id=MappingProxyType(by_id),
        only=usable[0] if len(usable) == 1 else None,
        ignored=tuple(ignored),
    )


def _entries(body: bytes) -> list[object]:
    try:
        document = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise DocumentRefused("it is not JSON") from None
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise DocumentRefused("it is not a JWK Set: an object with a list `keys` is expected")
    return entries


def _candidate(entry: object) -> tuple[str | None, Mapping[str, object]]:
    """A JWK that says it is for RS256 signatures, with its `kid`. Raises _Unfit."""
    if not isinstance(entry, dict):
        raise _Unfit("not an object")
    if entry.get("kty") != "RSA":
        raise _Unfit("not an RSA key")
    if entry.get("use", "sig") != "sig":
        raise _Unfit("its use is not sig")
    operations = entry.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise _Unfit("its key_ops do not have verify")
    if entry.get("alg", ALGORITHM) != ALGORITHM:
        raise _Unfit(f"its alg is not {ALGORITHM}")
    kid = entry.get("kid")
    if "kid" in entry and not isinstance(kid, str):
        raise _Unfit("its kid is not a string")
    return kid, entry


def _public_key(jwk: Mapping[str, object]) -> RSAPublicKey:
    if not _PRIVATE.isdisjoint(jwk):
        raise _Unfit("it holds private material, so it is known to others")
    modulus, exponent = _number(jwk, "n"), _number(jwk, "e")
    if not _MIN_BITS <= modulus.bit_length() <= _MAX_BITS:
        raise _Unfit(f"its modulus has {modulus.bit_length()} bits, {_MIN_BITS} to {_MAX_BITS} are taken")
    if exponent.bit_length() > _MAX_EXPONENT_BITS:
        raise _Unfit(f"its exponent has over {_MAX_EXPONENT_BITS} bits")
    try:
        return RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError:
        raise _Unfit("its numbers make no RSA key") from None


def _number(jwk: Mapping[str, object], name: str) -> int:
    """Base64urlUInt, RFC 7518 section 2."""
    text = jwk.get(name)
    if not isinstance(text, str) or not text.isascii() or not text.replace("-", "").replace("_", "").isalnum():
        raise _Unfit(f"its {name} is not base64url")
    try:
        return int.from_bytes(urlsafe_b64decode(text + "==="[: -len(text) % 4]), "big")
    except binascii.Error:
        raise _Unfit(f"its {name} is not base64url") from None


def _name(entry: object, index: int) -> str:
    kid = entry.get("kid") if isinstance(entry, Mapping) else None
    return f"key {kid[:64]!r}" if isinstance(kid, str) else f"key {index + 1}"
