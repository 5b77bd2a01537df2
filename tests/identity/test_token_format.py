"""The prefix of tokens: what it may be, and that all that creates, accepts or redacts tokens uses it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from app.audit.sanitize import clean, has_secret, without_secrets, without_whole_secrets
from app.identity.access_token_verifier import AccessTokenVerifier
from app.identity.api_keys import mint
from app.identity.bearer import parse_bearer_token
from app.identity.errors import AuthenticationFault, Cause, Unauthenticated
from app.identity.key_verifier import ApiKeyVerifier
from app.identity.oauth_tokens import has_shape, mint_token
from app.identity.token_format import DEFAULT_PREFIX, TokenKind, check_prefix, configure, current
from app.token_prefixes import use_token_prefixes
from tests.support.secret_texts import PLAIN, SECRETS

DIGITS = "0123456789abcdef" * 3
KINDS: tuple[TokenKind, ...] = ("access", "refresh", "code", "secret")


@pytest.fixture(autouse=True)
def default_prefix() -> Iterator[None]:
    yield
    use_token_prefixes([DEFAULT_PREFIX])


def keys() -> ApiKeyVerifier:
    """A verifier of keys whose database is empty."""

    async def find(_: bytes) -> None:
        return None

    return ApiKeyVerifier(find, environments=["live"], cache_seconds=0, on_accepted=lambda _: None)


def cause_of(token: str) -> str:
    with pytest.raises(Unauthenticated) as refused:
        keys().parse(token)
    return refused.value.code


@pytest.mark.parametrize("prefix", ["ab", "grd", "a1", "acmecorp2026", "skk"])
def test_new_tokens_have_the_first_prefix(prefix: str) -> None:
    use_token_prefixes([prefix, "grd", "old"])
    key = mint("live")
    assert re.fullmatch(f"{prefix}_live_[0-9a-f]{{48}}", key.plaintext)
    assert key.prefix == key.plaintext[: len(prefix) + 14]
    assert len(key.prefix) <= 32, "the width of the column"
    for kind in KINDS:
        token = mint_token(kind)
        assert token.startswith(f"{prefix}_")
        assert has_shape(token, kind)
        assert not any(has_shape(token, other) for other in KINDS if other != kind)


def test_tokens_with_each_prefix_are_accepted_and_no_others() -> None:
    use_token_prefixes(["acme", "grd"])
    for prefix in ("acme", "grd"):
        assert keys().parse(f"{prefix}_live_{DIGITS}").environment == "live"
        assert cause_of(f"{prefix}_test_{DIGITS}") == "key_unknown", "of an environment that is not accepted"
        assert has_shape(f"{prefix}_ort_{DIGITS}", "refresh")
        AccessTokenVerifier.parse(f"{prefix}_oat_{DIGITS}")
        for kind, cause in (("oat", Cause.MALFORMED_APP_TOKEN), ("ort", Cause.NO_ACCESS_TOKEN)):
            with pytest.raises(Unauthenticated) as refused:
                AccessTokenVerifier.parse(f"{prefix}_{kind}_x")
            assert refused.value.code == cause.value
    for other in ("acm", "acme2", "xacme", "grdacme", "ACME", "acme_grd", "acme|grd", ""):
        assert cause_of(f"{other}_live_{DIGITS}") == "key_malformed"
        assert not has_shape(f"{other}_ort_{DIGITS}", "refresh")
    configure(["acme"])
    assert cause_of(f"grd_live_{DIGITS}") == "key_malformed"
    assert not has_shape(f"grd_ort_{DIGITS}", "refresh")


@pytest.mark.parametrize("prefixes", [["acme"], ["acme", "grd"], ["grd", "acme"]])
def test_a_key_that_is_too_long_is_a_malformed_key(prefixes: list[str]) -> None:
    use_token_prefixes(prefixes)
    for prefix in prefixes:
        for start, fault in ((f"{prefix}_", AuthenticationFault.KEY_MALFORMED), (f"{prefix}_oat_", Cause.TOO_LONG)):
            with pytest.raises(Unauthenticated) as refused:
                parse_bearer_token(b"Bearer " + start.encode() + b"a" * 20_000)
            assert refused.value.code == Unauthenticated(fault).code


@pytest.mark.parametrize("secret", [each for each in SECRETS if "grd" in each.lower()])
@pytest.mark.parametrize("configured", [["acme"], ["acme", "grd"], ["grd", "acme"]])
def test_secrets_with_a_prefix_of_the_setting_are_found(secret: str, configured: list[str]) -> None:
    use_token_prefixes(configured)
    for prefix in ("acme", "grd"):  # the default one too: it may be a former one
        text = secret.replace("grd", prefix).replace("GRD", prefix.upper())
        assert has_secret(text), text
        for around in ("{}", "a {} b", "x{}", "/teams/{}?a=b"):
            for clean_text in (without_secrets, without_whole_secrets, lambda given: clean(given, 600)):
                found = clean_text(around.format(text))
                assert "[secret]" in found
                assert "5a5a5a5a5" not in found.lower()


@pytest.mark.parametrize("text", PLAIN)
def test_what_only_resembles_a_secret_with_the_prefix_is_kept(text: str) -> None:
    use_token_prefixes(["acme"])
    assert not has_secret(text.replace("grd", "acme"))
    assert without_secrets("acme_live_") == "acme_live_"
    assert without_secrets("load_test_20261129") == "load_test_20261129"
    assert without_whole_secrets(f"acme_live_{DIGITS[:8]}") == f"acme_live_{DIGITS[:8]}"
    assert without_secrets(f"acme_live_{DIGITS[:8]}") == "[secret]"


def test_a_text_that_was_cleaned_before_is_cleaned_again_for_another_prefix() -> None:
    text = "at acme_live_0123456789"
    assert clean(text, 100) == text
    use_token_prefixes(["acme"])
    assert clean(text, 100) == "at [secret]"


@pytest.mark.parametrize("prefix", ["", "a", "Acme", "acme_", "1a", "a-b", "a" * 13, "é1", "a\n", "\uff41b", "a b"])
def test_a_prefix_has_one_form(prefix: str) -> None:
    with pytest.raises(ValueError, match="2 to 12 lower-case letters and digits"):
        check_prefix(prefix)


@pytest.mark.parametrize("prefix", ["sk", "pk", "rk"])
def test_a_prefix_that_scanners_take_for_another_secret_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="Stripe"):
        check_prefix(prefix)


def test_the_default_is_grd() -> None:
    assert (current().prefixes, current().longest_public_part) == (("grd",), 17)
    assert current().starts == ("grd_",)
    assert current().app_starts == ("grd_oat_", "grd_ort_", "grd_oac_", "grd_ocs_")
