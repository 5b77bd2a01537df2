"""Key sets of issuers: which keys verify a token that `k1` signed, and why others are ignored."""

from __future__ import annotations

import contextlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from app.identity.errors import CannotVerify, Cause, Unauthenticated
from app.identity.jwk import DocumentRefused, IgnoredReason, PublishedKeys, read_key_set
from app.identity.jwks import KeySet
from app.identity.jwt import single_issuer
from tests.support.issuer import LiveIssuer
from tests.support.server import AUDIENCE

pytestmark = pytest.mark.anyio

Jwk = dict[str, Any]


@cache
def private_key(number: int, bits: int = 2048, exponent: int = 65537) -> rsa.RSAPrivateKey:
    """One of several fixed keys."""
    return rsa.generate_private_key(public_exponent=exponent, key_size=bits)


def jwk(number: int = 1, **members: Any) -> Jwk:
    """The public JWK of a key, by default `k1`, with changed members; those that are "absent" are left out."""
    made: Jwk = RSAAlgorithm.to_jwk(private_key(number).public_key(), as_dict=True)
    del made["key_ops"]
    stated = {**made, "kid": "k1", "use": "sig", "alg": "RS256", **members}
    return {name: value for name, value in stated.items() if value != "absent"}


def private(number: int = 1, **members: Any) -> Jwk:
    made: Jwk = RSAAlgorithm.to_jwk(private_key(number), as_dict=True)
    return {**made, **jwk(number, **members)}


def half_private(member: str) -> Jwk:
    return {**jwk(), member: "AQAB"}


def read(*keys: object, mark: bytes = b"") -> PublishedKeys:
    return read_key_set(mark + json.dumps({"keys": keys}).encode())


def opens(published: PublishedKeys, kid: str | None = "k1", number: int = 1) -> bool:
    """Whether a token that this key signed, and that names this `kid`, can be verified."""
    found = published.only if kid is None else published.by_id.get(kid)
    return private_key(number).public_key() in (found or ())


def number_of(text: str) -> int:
    return int.from_bytes(urlsafe_b64decode(text + "=="), "big")


def text_of(number: int) -> str:
    return urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()


def plain_base64(text: str) -> str:
    return text.replace("-", "+").replace("_", "/")


N = "n"
TAKEN: dict[str, Callable[[], list[Jwk]]] = {
    "the very same key twice": lambda: [jwk(), jwk()],
    "three times, beside another": lambda: [jwk(), jwk(2, kid="k2"), jwk(), jwk()],
    "two keys with one kid": lambda: [jwk(2), jwk()],
    "with and without alg": lambda: [jwk(), jwk(alg="absent")],
    "with and without use": lambda: [jwk(use="absent"), jwk()],
    "for two algorithms": lambda: [jwk(alg="RS512"), jwk()],
    "for signatures and encryption": lambda: [jwk(use="enc"), jwk(use="sig")],
    "with an EC key of the same kid": lambda: [{"kty": "EC", "kid": "k1", "crv": "P-256"}, jwk()],
    "with nulls": lambda: [jwk(alg=None, use=None, key_ops=None, x5c=None, d=None, oth=None)],
    "padded": lambda: [jwk(n=jwk()[N] + "==", e="AQAB")],
    "in plain base64": lambda: [jwk(n=plain_base64(jwk()[N]))],
    "in plain base64, padded": lambda: [jwk(n=plain_base64(jwk()[N]) + "==")],
    "with the sign byte of a BigInteger": lambda: [
        jwk(n=urlsafe_b64encode(b"\x00" + urlsafe_b64decode(jwk()[N] + "==")).decode())
    ],
    "the same in two spellings": lambda: [jwk(), jwk(n=plain_base64(jwk()[N]) + "==")],
    "with key_ops": lambda: [jwk(key_ops=["verify"])],
    "first of many": lambda: [jwk(), *(jwk(2, kid=f"k{number}") for number in range(2, 120))],
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_usable_key_is_used(name: str) -> None:
    keys = TAKEN[name]()
    assert opens(read(*keys))
    assert opens(read(*reversed(keys[:100])))
    assert opens(read(*keys, mark=b"\xef\xbb\xbf"))
    found = read(*keys).by_id["k1"]
    assert len({key.public_numbers() for key in found}) == len(found), "each is tried once"
    if len({(key.get("n"), key["kty"]) for key in keys}) == 1:
        assert opens(read(*keys), kid=None), "one key alone needs no id"
    if "two keys" in name:
        assert opens(read(*keys), number=2)
        assert not opens(read(*keys), kid=None)


def test_one_key_under_two_ids_is_still_the_only_one() -> None:
    published = read(jwk(), jwk(kid="k2"), jwk(kid="absent"), jwk(kid=None))
    assert opens(published)
    assert opens(published, kid="k2")
    assert opens(published, kid=None)
    assert published.count == 1
    assert published.ignored.texts == ()


IGNORED: dict[str, tuple[Callable[[], object], IgnoredReason]] = {
    "use in capitals": (lambda: jwk(use="SIG"), IgnoredReason.USE),
    "for encryption": (lambda: jwk(use="enc"), IgnoredReason.USE),
    "use is a list": (lambda: jwk(use=["sig"]), IgnoredReason.USE),
    "another algorithm": (lambda: jwk(alg="RS512"), IgnoredReason.ALG),
    "algorithm in lower case": (lambda: jwk(alg="rs256"), IgnoredReason.ALG),
    "an empty algorithm": (lambda: jwk(alg=""), IgnoredReason.ALG),
    "no operations": (lambda: jwk(key_ops=[]), IgnoredReason.KEY_OPS),
    "other operations": (lambda: jwk(key_ops=["sign", "encrypt"]), IgnoredReason.KEY_OPS),
    "operations are a string": (lambda: jwk(key_ops="verify"), IgnoredReason.KEY_OPS),
    "kid is a number": (lambda: jwk(kid=7), IgnoredReason.KID),
    "private": (private, IgnoredReason.PRIVATE),
    "private without key_ops": (lambda: private(key_ops=None), IgnoredReason.PRIVATE),
    **{
        f"private by {name}": (partial(half_private, name), IgnoredReason.PRIVATE)
        for name in ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
    },
    "symmetric": (lambda: {"kty": "oct", "k": "c2VjcmV0", "kid": "k1"}, IgnoredReason.PRIVATE),
    "an EC key": (lambda: {"kty": "EC", "crv": "P-256", "x": "AQAB", "y": "AQAB", "kid": "k1"}, IgnoredReason.NOT_RSA),
    "an Ed25519 key": (lambda: {"kty": "OKP", "crv": "Ed25519", "x": "AQAB", "kid": "k1"}, IgnoredReason.NOT_RSA),
    "no type": (lambda: jwk(kty=None), IgnoredReason.NOT_RSA),
    "no object": (lambda: "k1", IgnoredReason.NOT_AN_OBJECT),
    "null": (lambda: None, IgnoredReason.NOT_AN_OBJECT),
    "an even modulus": (lambda: jwk(n=text_of(number_of(jwk()[N]) - 1)), IgnoredReason.MODULUS),
    "a short modulus": (lambda: jwk(n=text_of(number_of(jwk()[N]) >> 1024 | 1)), IgnoredReason.MODULUS),
    "a very long modulus": (lambda: jwk(n=text_of(1 << 8192 | 1)), IgnoredReason.MODULUS),
    "exponent 3": (lambda: jwk(e="Aw"), IgnoredReason.EXPONENT),
    "exponent 1": (lambda: jwk(e="AQ"), IgnoredReason.EXPONENT),
    "exponent 65535": (lambda: jwk(e=text_of(65535)), IgnoredReason.EXPONENT),
    "an even exponent": (lambda: jwk(e=text_of(65538)), IgnoredReason.MALFORMED),
    "a long exponent": (lambda: jwk(e=text_of(1 << 64 | 1)), IgnoredReason.EXPONENT),
    "an exponent that is a number": (lambda: jwk(e=65537), IgnoredReason.MALFORMED),
    "a modulus with blanks": (lambda: jwk(n=jwk()[N][:40] + "\n" + jwk()[N][40:]), IgnoredReason.MALFORMED),
    "padding within": (lambda: jwk(n="AQ==" + jwk()[N]), IgnoredReason.MALFORMED),
    "no modulus": (lambda: jwk(n=None), IgnoredReason.MALFORMED),
    "an empty modulus": (lambda: jwk(n=""), IgnoredReason.MALFORMED),
    "not ASCII": (lambda: jwk(n="é" + jwk()[N]), IgnoredReason.MALFORMED),
}


@pytest.mark.parametrize("name", IGNORED)
def test_an_unusable_key_is_ignored_with_a_reason(name: str) -> None:
    make, why = IGNORED[name]
    entry = make()
    published = read(entry, jwk(2, kid="k2"))
    assert opens(published, kid="k2", number=2)
    assert not opens(published)
    assert published.ignored.counts == {why: 1}
    (text,) = published.ignored.texts
    named = isinstance(entry, dict) and isinstance(entry.get("kid"), str)
    assert text.startswith("key 'k1': " if named else "key 1: ")
    assert jwk()[N][:20] not in text
    with pytest.raises(DocumentRefused) as refused:
        read(entry)
    assert refused.value.ignored.texts == (text,)
    assert str(refused.value) == f"it has no usable key ({text})"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "it is not JSON"),
        (b"\xff", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        *((body, "it is not a JWK Set: an object with a list `keys` is expected") for body in (b"[]", b"{}", b"7")),
        (b'{"keys": {}}', "it is not a JWK Set: an object with a list `keys` is expected"),
        (b'{"keys": []}', "it has no usable key"),
    ],
    ids=range(8),
)
def test_a_document_that_is_no_key_set_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(DocumentRefused) as refused:
        read_key_set(body)
    assert str(refused.value) == why
    assert refused.value.ignored.texts == ()
    assert not refused.value.revealed.has(number_of(jwk()[N]))


def odd(bits: int) -> str:
    return text_of(1 << (bits - 1) | 1)


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"n": odd(2047)}, IgnoredReason.MODULUS),
        ({"n": odd(2048)}, None),
        ({"n": odd(8192)}, None),
        ({"n": odd(8193)}, IgnoredReason.MODULUS),
        ({"e": text_of(65535)}, IgnoredReason.EXPONENT),
        ({"e": text_of(65536)}, IgnoredReason.EXPONENT),
        ({"e": text_of(65537)}, None),
        ({"e": odd(64)}, None),
        ({"e": odd(65)}, IgnoredReason.EXPONENT),
    ],
    ids=str,
)
def test_the_numbers_of_a_key_are_bounded(members: Jwk, why: IgnoredReason | None) -> None:
    published = read(jwk(**members), jwk(2, kid="k2"))
    assert published.ignored.counts == ({} if why is None else {why: 1})
    assert published.count == (2 if why is None else 1)


def test_a_key_with_a_published_private_part_is_refused_under_every_id() -> None:
    for keys in (
        [private(kid="k9"), jwk()],
        [jwk(), private(kid="k9")],
        [jwk(), private(kid="k9", n=plain_base64(jwk()[N]))],
    ):
        published = read(*keys, jwk(2, kid="k2"))
        assert not opens(published)
        assert published.ignored.counts == {IgnoredReason.PRIVATE: 2}


def members(*names: str, number: int = 1, **more: Any) -> Jwk:
    """A JWK with some members of a private key."""
    every = private(number, kid="k9")
    return {"kty": "RSA", **{name: every[name] for name in names}, **more}


SHOWN: dict[str, Callable[[], Jwk]] = {
    "all of it": lambda: private(kid="k9"),
    "without e": lambda: private(kid="k9", e="absent"),
    "with a null e": lambda: private(kid="k9", e=None),
    "with another e": lambda: private(kid="k9", e="Aw"),
    "with an e that is a number": lambda: private(kid="k9", e=65537),
    "n and d": lambda: members("n", "d"),
    "n and d for encryption": lambda: members("n", "d", use="enc", alg="RSA-OAEP"),
    "n and d without a type": lambda: members("n", "d", kty=None),
    "p and q": lambda: members("p", "q"),
    "q and p": lambda: members(p=private()["q"], q=private()["p"]),
    "p and q with another n": lambda: members("p", "q", "d", n=jwk(3)[N]),
    "p alone": lambda: members("p"),
    "q alone, padded": lambda: members(q=plain_base64(private()["q"]) + "=="),
    "a further prime": lambda: members(oth=[None, "r", {"r": private()["q"]}]),
}


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("at", [0, 1, 99, 100, 101, 700])
def test_any_published_private_member_disables_a_key(name: str, at: int) -> None:
    others = [jwk(2, kid="k2")] * 800
    published = read(jwk(), *others[:at], SHOWN[name](), *others[at:])
    assert not opens(published)
    assert opens(published, kid="k2", number=2)
    assert published.ignored.counts[IgnoredReason.PRIVATE] == 2


def test_a_published_private_part_does_not_disable_other_keys() -> None:
    assert opens(read(jwk(), private(2), members("p", "q", number=3), members("d"), members("e", "d", n="AQAB")))
    for p in ("", "AA", "AQ", "=", 7, None, ["Aw"]):  # empty, 0 and 1 are factors of no key
        assert opens(read(jwk(), members("d", p=p, oth=[{"r": p}, {}]), members("d", oth={"r": private()["q"]})))
    three = jwk(n=text_of(3 * number_of(jwk(2)[N])))
    assert read(three, members("d")).count == 1
    assert read(jwk(2), three, members(p="Aw")).ignored.counts == {IgnoredReason.PRIVATE: 2}


def test_a_key_set_with_too_many_entries_is_refused() -> None:
    assert opens(read(jwk(), *([{}] * 4_999)))
    with pytest.raises(DocumentRefused, match="more than 5000 keys"):
        read(jwk(), *([{}] * 5_000))


@pytest.mark.parametrize("how", [private, SHOWN["without e"], SHOWN["p and q"]])
async def test_a_key_in_use_is_refused_when_its_private_part_is_published(
    own: LiveIssuer, how: Callable[[], Jwk]
) -> None:
    own.key, own.kid = private_key(1), "k1"
    good = json.dumps({"keys": [jwk()]}).encode()
    own.answer = lambda: (200, good)
    async with KeySet(own.jwks_url, cooldown_seconds=0) as keys:
        verifier = single_issuer(keys, own.url, (AUDIENCE,))
        token = own.token()
        assert await verifier.verify(token)
        own.answer = lambda: (200, json.dumps({"keys": [private(2, kid="k2")]}).encode())
        assert await keys.find("made up, to fetch the keys") is None
        assert await verifier.verify(token), "the private part is another key's"
        shown = json.dumps({"keys": [how()]}).encode()
        own.answer = lambda: (200, shown)
        with contextlib.suppress(CannotVerify):
            await keys.find("made up, to fetch the keys")
        with pytest.raises(CannotVerify):
            await verifier.verify(token)
        own.answer = lambda: (200, good)
        assert await verifier.verify(token)


def test_keys_beyond_the_bounds_are_ignored_with_bounded_reasons() -> None:
    published = read(*(jwk(2, kid=f"k{number}") for number in range(100)), jwk(kid="k100"))
    assert opens(published, kid="k99", number=2)
    assert not opens(published, kid="k100")
    assert published.ignored.texts == ("key 'k100': only the first 100 keys are read",)
    for count in (20, 21, 500):
        many = read(*([jwk()] * 100), *({"kty": "EC", "kid": "x" * 500} for _ in range(count)))
        named = [f"key '{'x' * 64}': only the first 100 keys are read"] * 20
        assert many.ignored.texts == (*named, *([f"and {count - 20} more"] if count > 20 else []))
        assert many.ignored.counts == {IgnoredReason.TOO_MANY: count}
    assert read(*([jwk()] * 99), {"kty": "EC"}).ignored.counts == {IgnoredReason.NOT_RSA: 1}


def test_the_number_of_keys_tried_per_id_is_bounded() -> None:
    modulus = number_of(jwk()[N])
    made_up = [jwk(n=text_of(modulus + 2 * number)) for number in range(1, 20)]
    published = read(*made_up[:7], jwk(), *made_up[7:])
    assert len(published.by_id["k1"]) == 8
    assert opens(published)
    assert published.ignored.counts == {IgnoredReason.TOO_MANY: 12}
    assert not opens(read(*made_up, jwk()))


async def test_each_key_of_one_id_is_tried_for_a_token(own: LiveIssuer) -> None:
    own.key, own.kid = private_key(1), "k1"
    own.answer = lambda: (200, b"\xef\xbb\xbf" + json.dumps({"keys": [jwk(2), jwk(3), jwk(), jwk()]}).encode())
    async with KeySet(own.jwks_url) as keys:
        verifier = single_issuer(keys, own.url, (AUDIENCE,))
        for number in (1, 2, 3):
            own.key = private_key(number)
            token = own.token(permissions=["catalog:read"])
            first = await verifier.verify(token)
            assert await verifier.verify(token) is first, "and it is cached"
        assert verifier.cache.hits == 3
        own.key = private_key(4)
        with pytest.raises(Exception, match="Invalid signature"):
            await verifier.verify(own.token())


async def test_a_token_without_a_key_id_is_refused_if_there_are_two_keys(own: LiveIssuer) -> None:
    own.key = private_key(1)
    claims = jwt.decode(own.token(), options={"verify_signature": False})
    token = jwt.encode(claims, own.key, algorithm="RS256")
    own.answer = lambda: (200, json.dumps({"keys": [jwk()]}).encode())
    async with KeySet(own.jwks_url) as keys:
        assert (await single_issuer(keys, own.url, (AUDIENCE,)).verify(token)).subject == "user_test"
    own.answer = lambda: (200, json.dumps({"keys": [jwk(), jwk(2, kid="k2")]}).encode())
    async with KeySet(own.jwks_url) as keys:
        with pytest.raises(Unauthenticated) as refused:
            await single_issuer(keys, own.url, (AUDIENCE,)).verify(token)
        assert refused.value.code == Cause.MISSING_KID


async def test_a_cached_token_is_refused_when_its_key_is_replaced_under_the_same_id(own: LiveIssuer) -> None:
    own.key, own.kid = private_key(1), "k1"
    own.answer = lambda: (200, json.dumps({"keys": [jwk(2), jwk()]}).encode())
    async with KeySet(own.jwks_url, cooldown_seconds=0) as keys:
        verifier = single_issuer(keys, own.url, (AUDIENCE,))
        token = own.token()
        assert await verifier.verify(token) is await verifier.verify(token)
        own.answer = lambda: (200, json.dumps({"keys": [jwk(2)]}).encode())
        assert await keys.find("made up, to fetch the keys") is None
        with pytest.raises(Exception, match="Invalid signature"):
            await verifier.verify(token)


async def test_ignored_keys_are_logged_on_change_and_reported_for_refused_documents(
    own: LiveIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    def publish(*keys: object) -> None:
        own.answer = lambda: (200, json.dumps({"keys": keys}).encode())

    def logged() -> int:
        return sum("keys are ignored" in record.message for record in caplog.records)

    publish(jwk(), jwk(2, kid="k2", alg="RS512"))
    async with KeySet(own.jwks_url, cooldown_seconds=0) as keys:
        assert keys.ignored.texts == ("key 'k2': its alg is not RS256",)
        assert logged() == 1
        assert await keys.find("unknown") is None
        assert logged() == 1
        assert "key 'k2': its alg is not RS256" in caplog.text
        publish(jwk(use="SIG"))
        assert await keys.find("unknown") is None
        assert keys.get("k1"), "the valid key stays"
        assert keys.ignored.counts == {IgnoredReason.USE: 1}
        assert keys.last_error == "it has no usable key (key 'k1': its use is not sig)"
        assert logged() == 2
        publish(jwk())
        assert await keys.find("unknown") is None
        assert not keys.ignored.texts
        assert keys.count == 1
        assert logged() == 2, "nothing is ignored any more"
