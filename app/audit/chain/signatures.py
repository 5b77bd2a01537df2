"""Signatures of chain entries with Ed25519 (RFC 8032).

A server has the private key. With the public key, an auditor can check a chain, and cannot write one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

_MAX_FILE_BYTES = 10_000
_ID_DIGITS = 16
_CONTEXT = b"authz chain signature\n"  # no other message is signed with this key


class UnusableKey(Exception):
    """The file has no key of the expected kind. The message says how to create one."""


@dataclass(frozen=True, slots=True)
class EntrySignature:
    """The signature of an entry, and the id of its key."""

    key_id: str
    value: bytes


class SigningKey:
    """The private key that signs chain entries."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.key_id = key_id_of(key.public_key())

    def __repr__(self) -> str:
        return f"SigningKey({self.key_id})"

    def sign(self, entry_hash: bytes) -> EntrySignature:
        """The signature of the entry with this hash."""
        return EntrySignature(self.key_id, self._key.sign(_CONTEXT + entry_hash))


def read_signing_key(file: Path) -> SigningKey:
    """The private key of a PEM file. Raises UnusableKey, without the name of the file, or OSError."""
    try:
        key = load_pem_private_key(_content(file), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise UnusableKey(
            "the file has no private Ed25519 key without a password, in PEM: create one with "
            "`openssl genpkey -algorithm ed25519 -out FILE`"
        )
    return SigningKey(key)


def read_public_keys(files: Sequence[Path]) -> PublicKeys:
    """The public keys of PEM files. Raises UnusableKey, or OSError."""
    keys = {}
    for file in files:
        try:
            key = load_pem_public_key(_content(file))
        except (ValueError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PublicKey):
            raise UnusableKey(
                f"{file} has no public Ed25519 key in PEM: write it with `openssl pkey -in PRIVATE -pubout -out FILE`"
            )
        keys[key_id_of(key)] = key
    return PublicKeys(keys)


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """Public keys by their ids."""

    keys: Mapping[str, Ed25519PublicKey]

    def __bool__(self) -> bool:
        return bool(self.keys)

    def has(self, key_id: str) -> bool:
        """Whether the key with this id is among them."""
        return key_id in self.keys

    def verify(self, entry_hash: bytes, signature: EntrySignature) -> bool:
        """Whether one of the keys has signed the entry with this hash."""
        key = self.keys.get(signature.key_id)
        if key is None:
            return False
        try:
            key.verify(signature.value, _CONTEXT + entry_hash)
        except InvalidSignature:
            return False
        return True


def key_id_of(key: Ed25519PublicKey) -> str:
    """The id of a key: the beginning of the SHA-256 of its public part."""
    return sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:_ID_DIGITS]


def _content(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(_MAX_FILE_BYTES)
