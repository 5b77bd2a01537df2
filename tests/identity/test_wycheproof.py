"""Project Wycheproof's vectors for JWS and JWK, each given to the verifier together with its own key set.

Their payloads are no JSON objects, so none becomes a principal. That a signature verifies shows in that the claims are
refused: they are read after the signature. `wycheproof.json` has all of `json_web_key_test.json`, and of
`json_web_signature_test.json` all but 86 vectors whose headers name PS256, PS384, PS512, ES256 or ES512: nothing after
such a header is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.dev.issuer import Issuer
from app.identity.errors import AuthenticationFault, Cause, Unauthenticated
from app.identity.jwk import DocumentRefused, IgnoredReason, PublishedKeys, read_key_set
from app.identity.jwks import KeySet
from app.identity.jwt import single_issuer
from tests.support.issuer import LiveIssuer
from tests.support.server import AUDIENCE

pytestmark = pytest.mark.anyio

SIGNATURES, KEYS = "json_web_signature_test.json", "json_web_key_test.json"
GROUPS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "wycheproof.json").read_text())["groups"]
VERIFIED = Cause.MALFORMED_CLAIMS

# The vectors of RS256 that verify: each one that Wycheproof states as valid.
VALID_RS256 = {
    *((SIGNATURES, number) for number in (33, 259, 260, 261, 262, 263, 345, 349)),
    (KEYS, 5),
}
# The RSA keys that are not used, by the first vector of their group.
UNFIT = {
    (SIGNATURES, 264): IgnoredReason.ALG,
    (SIGNATURES, 268): IgnoredReason.ALG,
    (SIGNATURES, 272): IgnoredReason.ALG,
    (SIGNATURES, 320): IgnoredReason.ALG,
    (SIGNATURES, 325): IgnoredReason.ALG,
    (SIGNATURES, 353): IgnoredReason.USE,
    (SIGNATURES, 355): IgnoredReason.KEY_OPS,
    (KEYS, 6): IgnoredReason.USE,
    (KEYS, 7): IgnoredReason.MODULUS,  # ROCA
    (KEYS, 8): IgnoredReason.MODULUS,  # 1024 bits
    (KEYS, 9): IgnoredReason.EXPONENT,
    (KEYS, 24): IgnoredReason.ALG,
}
# The vectors whose comment states their encoding error.
MISSPELT: dict[str, Cause] = {
    "rejectsMissingSignatureAndSeparator": Cause.OPAQUE,
    "rejectsMissingPayloadAndSeparator": Cause.OPAQUE,
    "rejectsMissingHeader": Cause.MALFORMED_HEADER,
    "rejectsMissingHeaderAndSeparator": Cause.OPAQUE,
    "rejectsMissingHeaderAndSignature": Cause.MALFORMED_HEADER,
    "rejectsMissingHeaderSignatureAndSeparator": Cause.OPAQUE,
    "rejectsMissingHeaderSignatureAndSeparators": Cause.OPAQUE,
    "rejectsEmptyString": Cause.OPAQUE,
    "rejectsExtraEmptyComponent": Cause.OPAQUE,
    "rejectsExtraComponent": Cause.OPAQUE,
    "rejectsValidJsonSerialization": Cause.OPAQUE,
    "spacesInHeader": Cause.MALFORMED_HEADER,
    "invalidCharactersInHeader": Cause.MALFORMED_HEADER,
    "InvalidCharacterInsertedInHeader": Cause.MALFORMED_HEADER,
}
RS256 = "eyJhbGciOiJSUzI1NiIs"  # how a header for it begins


@pytest.fixture(scope="module")
def publisher() -> Iterator[LiveIssuer]:
    """An issuer that publishes the keys of one group after another."""
    with LiveIssuer() as started:
        yield started


def first(group: dict[str, Any]) -> tuple[str, int]:
    return group["file"], group["tests"][0]["tcId"]


def is_usable(group: dict[str, Any]) -> bool:
    return group["keys"][0]["kty"] == "RSA" and first(group) not in UNFIT


def expected(group: dict[str, Any], vector: dict[str, Any]) -> AuthenticationFault | Cause:
    """Why a vector is refused; VERIFIED for a valid signature."""
    if vector["comment"] in MISSPELT:
        return MISSPELT[vector["comment"]]
    if not vector["jws"].startswith(RS256):
        return AuthenticationFault.ALGORITHM
    if not is_usable(group) or vector["comment"] == "rejectsModifiedHeader":
        return Cause.UNKNOWN_KID
    return VERIFIED if (group["file"], vector["tcId"]) in VALID_RS256 else AuthenticationFault.SIGNATURE


def published(group: dict[str, Any]) -> PublishedKeys:
    return read_key_set(json.dumps({"keys": group["keys"]}).encode())


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: f"{group['comment']}-{group['tests'][0]['tcId']}")
async def test_every_vector_has_its_outcome(group: dict[str, Any], publisher: LiveIssuer) -> None:
    document = {"keys": [*group["keys"], *Issuer(publisher.key).jwks()["keys"]]}
    publisher.answer = lambda: (200, json.dumps(document).encode())
    async with KeySet(publisher.jwks_url) as keys:
        verifier = single_issuer(keys, publisher.url, (AUDIENCE,))
        for vector in group["tests"]:
            with pytest.raises(Unauthenticated) as refused:
                await verifier.verify(vector["jws"])
            assert refused.value.code == Unauthenticated(expected(group, vector)).code, vector
        # The set itself is valid: a token of the added key is accepted.
        assert (await verifier.verify(publisher.token())).subject == "user_test"


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: f"{group['comment']}-{group['tests'][0]['tcId']}")
def test_every_key_is_used_or_ignored_with_its_reason(group: dict[str, Any]) -> None:
    if is_usable(group):
        assert published(group).ignored.counts == {}
        return
    kinds = {"oct": IgnoredReason.PRIVATE, "EC": IgnoredReason.NOT_RSA}
    reasons = [kinds.get(key["kty"]) or UNFIT[first(group)] for key in group["keys"]]
    with pytest.raises(DocumentRefused) as refused:
        published(group)
    assert refused.value.ignored.counts == {reason: reasons.count(reason) for reason in reasons}


def test_exactly_the_valid_rs256_vectors_verify() -> None:
    stated = {
        (group["file"], vector["tcId"])
        for group in GROUPS
        for vector in group["tests"]
        if vector["result"] == "valid" and vector["jws"].startswith(RS256)
    }
    assert stated == VALID_RS256
    numbers = [sum(len(group["tests"]) for group in GROUPS if group["file"] == name) for name in (SIGNATURES, KEYS)]
    assert numbers == [315, 26]
