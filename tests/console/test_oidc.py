"""The console as a client of a real issuer, without a browser, with the reason of each failed sign-in."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import replace
from hashlib import sha256
from urllib.parse import parse_qsl, urlencode

import pytest
from structlog.testing import capture_logs

from app.console.login_state import LoginState, begin
from app.console.oidc import OpenId, SignedIn, SignInFailed
from app.dev.wire import IssuerRequest, RelyingParty, Reply, json_reply
from app.identity.jwks import KeySet
from tests.console.browsing import changed_answers
from tests.console.signing_in import URL, answered, discovered, openid_of, refused, signed_in, tokens, why
from tests.support.issuer import CONSOLE, LiveIssuer

pytestmark = pytest.mark.anyio

MAX_BYTES = 256 * 1024  # of an answer of the issuer


# The authorization request.


async def test_the_authorization_request_belongs_to_this_sign_in(
    openid: OpenId, issuer: LiveIssuer, attempt: LoginState
) -> None:
    endpoint, _, query = (await openid.address(attempt)).partition("?")
    assert endpoint == f"{issuer.url}/authorize"
    assert dict(parse_qsl(query)) == {
        "response_type": "code",
        "client_id": CONSOLE.id,
        "redirect_uri": f"{URL}/console/callback",
        "scope": "openid profile email",
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": urlsafe_b64encode(sha256(attempt.verifier.encode()).digest()).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }


async def test_an_endpoint_that_has_a_query_keeps_it(openid: OpenId, issuer: LiveIssuer, attempt: LoginState) -> None:
    changes = {"authorization_endpoint": f"{issuer.url}/a?tenant=1", "end_session_endpoint": f"{issuer.url}/o?tenant=2"}
    with changed_answers(issuer, discovered(issuer, lambda document: {**document, **changes})):
        assert (await openid.address(attempt)).startswith(f"{issuer.url}/a?tenant=1&response_type=code&")
        assert (await openid.sign_out_address() or "").startswith(f"{issuer.url}/o?tenant=2&client_id=")


async def test_the_sign_out_address_is_that_of_the_issuer(openid: OpenId, issuer: LiveIssuer) -> None:
    back = urlencode({"client_id": CONSOLE.id, "post_logout_redirect_uri": f"{URL}/console/signed-out"})
    assert await openid.sign_out_address() == f"{issuer.url}/logout?{back}"


async def test_an_issuer_without_an_end_session_endpoint_has_no_sign_out_address(
    openid: OpenId, issuer: LiveIssuer
) -> None:
    with changed_answers(issuer, discovered(issuer, lambda document: {**document, "end_session_endpoint": None})):
        assert await openid.sign_out_address() is None


async def test_an_unreachable_issuer_fails_the_sign_in(openid: OpenId, issuer: LiveIssuer, attempt: LoginState) -> None:
    with changed_answers(issuer, lambda _, reply: Reply(503, (), b"")):
        with capture_logs() as lines, pytest.raises(SignInFailed) as failed:
            await openid.address(attempt)
        assert await openid.sign_out_address() is None
    assert (failed.value.status, failed.value.text) == (
        503,
        "The issuer gave no valid answer, so you cannot sign in now. Try again in a moment.",
    )
    assert [line["why"] for line in lines] == ["the discovery document has status 503"]


async def test_it_can_be_closed_at_any_time_and_used_again(
    openid: OpenId, issuer: LiveIssuer, attempt: LoginState
) -> None:
    await openid.close()
    for _ in range(2):
        assert (await signed_in(openid, issuer, attempt)).subject == "user_alice"
        await openid.close()
        await openid.close()


# The authorization response.


async def test_the_signed_in_user_is_that_of_the_issuer(
    openid: OpenId, issuer: LiveIssuer, attempt: LoginState
) -> None:
    assert await signed_in(openid, issuer, attempt) == SignedIn(
        "user_alice", "Alice Adams", ("catalog:read", "catalog:write")
    )


async def test_who_acts_as_the_user_is_known(openid: OpenId, issuer: LiveIssuer, attempt: LoginState) -> None:
    with tokens(issuer, attempt, act={"sub": "user_support"}):
        assert (await signed_in(openid, issuer, attempt)).act == {"sub": "user_support"}


NO_ATTEMPT = "does not belong to a sign-in"


@pytest.mark.parametrize("state", ["absent", "", "another", "x", "é", "longer"])
async def test_an_answer_with_another_state_is_refused_first(
    openid: OpenId, issuer: LiveIssuer, attempt: LoginState, state: str
) -> None:
    states = {"absent": {}, "another": {"state": begin("").state}, "longer": {"state": attempt.state + "x"}}
    sent = {"error": "server_error", "iss": "https://evil.example", **states.get(state, {"state": state})}
    for own in (attempt, None):
        status, text, reasons = await refused(openid, urlencode(sent), own)
        assert (status, NO_ATTEMPT in text, reasons) == (400, True, [])
    status, text, _ = await refused(openid, urlencode({**sent, "state": attempt.state}), None)
    assert (status, NO_ATTEMPT in text) == (400, True)


@pytest.mark.parametrize("query", ["state=%FF", "state=%ED%A0%80&code=%C3", "%FF=%FF", "state=%", "&&", "=", "state"])
async def test_an_answer_that_is_not_utf8_is_refused(openid: OpenId, attempt: LoginState, query: str) -> None:
    status, text, reasons = await refused(openid, query, attempt)
    assert (status, NO_ATTEMPT in text, reasons) == (400, True, [])


@pytest.mark.parametrize("twice", ["code=x", "code=", "state=", "iss=", "x=1&x=1", "y=&y=1"])
async def test_an_answer_with_a_repeated_parameter_is_refused(
    openid: OpenId, issuer: LiveIssuer, attempt: LoginState, twice: str
) -> None:
    sent = urlencode(await answered(openid, issuer, attempt))
    status, text, _ = await refused(openid, f"{sent}&{twice}", attempt)
    assert (status, text) == (400, "The issuer's answer is ambiguous: it repeats a parameter.")


@pytest.mark.parametrize("states_issuer", [True, False, None, "true", 1])
async def test_an_answer_must_name_the_issuer_if_the_issuer_announces_that(
    openid: OpenId, issuer: LiveIssuer, attempt: LoginState, states_issuer: object
) -> None:
    changes = {"authorization_response_iss_parameter_supported": states_issuer}
    with changed_answers(issuer, discovered(issuer, lambda document: {**document, **changes})):
        sent = await answered(openid, issuer, attempt)
        for iss in ("https://evil.example", issuer.url + "/", ""):
            status, _, reasons = await refused(openid, urlencode({**sent, "iss": iss}), attempt)
            assert (status, reasons) == (502, ["the answer names another issuer, or none"])
        del sent["iss"]
        if states_issuer is True:
            status, _, reasons = await refused(openid, urlencode(sent), attempt)
            assert (status, reasons) == (502, ["the answer names another issuer, or none"])
        else:
            assert (await openid.finish(urlencode(sent), attempt)).subject == "user_alice"


@pytest.mark.parametrize("code", [{}, {"code": ""}])
async def test_an_answer_without_a_code_is_refused(
    openid: OpenId, issuer: LiveIssuer, attempt: LoginState, code: dict[str, str]
) -> None:
    status, _, reasons = await refused(openid, urlencode({"state": attempt.state, "iss": issuer.url, **code}), attempt)
    assert (status, reasons) == (502, ["the answer has no code"])


@pytest.mark.parametrize(
    ("error", "said", "logged"),
    [
        (("access_denied", "x"), None, []),
        (("server_error", "Try later."), "server_error: Try later.", ["server_error"]),
        (("server_error", ""), "server_error", ["server_error"]),
        (("e" * 50, ""), "e" * 50, ["e" * 50]),
        (("e" * 51, ""), "e" * 51, ["an unreadable error"]),
        (("e" * 101, "d" * 301), "e" * 100 + ": " + "d" * 300, ["an unreadable error"]),
        (("e" * 101, ""), "e" * 100, ["an unreadable error"]),
        (("a\nb", ""), "a\nb", ["an unreadable error"]),
    ],
)
async def test_the_error_text_of_the_issuer_is_bounded(
    openid: OpenId, issuer: LiveIssuer, error: tuple[str, str], said: str | None, logged: list[str]
) -> None:
    attempt = begin("")
    sent = {"state": attempt.state, "iss": issuer.url, "code": "x", "error": error[0], "error_description": error[1]}
    status, text, reasons = await refused(openid, urlencode(sent), attempt)
    assert (status, reasons) == (403, logged)
    assert text == (f"The issuer says: {said}" if said else text)
    assert said or text == "You were not signed in: it was cancelled or refused at the issuer."


# The tokens for a code.


async def test_a_code_is_accepted_once_and_for_its_own_sign_in(
    openid: OpenId, issuer: LiveIssuer, attempt: LoginState
) -> None:
    sent = await answered(openid, issuer, attempt)
    other = replace(attempt, verifier=begin("").verifier)
    status, _, reasons = await refused(openid, urlencode(sent), other)
    assert (status, reasons) == (502, ["the token endpoint answered 400: invalid_grant"])
    status, text, _ = await refused(openid, urlencode(sent), attempt)
    assert status == 502, "it was used up"
    assert text == (
        "The issuer's answer was not valid, so you were not signed in. The operator can read why in the log."
    )


async def test_a_client_with_a_secret_authenticates_with_it(issuer: LiveIssuer, attempt: LoginState) -> None:
    name, secret = "a console:%", "s cr+t&:ü%"
    asked: list[IssuerRequest] = []
    issuer.provider.clients = [CONSOLE, RelyingParty(name, CONSOLE.redirects, (), secret)]

    def watch(request: IssuerRequest, reply: Reply) -> Reply:
        asked.append(request)
        return reply

    try:
        with changed_answers(issuer, watch):
            async with KeySet(issuer.jwks_url) as keys:
                for given in (secret, "another", None):
                    openid = openid_of(issuer, keys, client_id=name, client_secret=given)
                    if given == secret:
                        assert (await signed_in(openid, issuer, attempt)).subject == "user_alice"
                        form = dict(parse_qsl(asked[-1].body))
                        assert set(form) == {"grant_type", "code", "redirect_uri", "code_verifier"}
                    else:
                        reason = "the token endpoint answered 401: invalid_client"
                        assert await why(openid, issuer, attempt) == (502, [reason])
                    await openid.close()
    finally:
        issuer.provider.clients = [CONSOLE]


JSON = (("Content-Type", "application/json"),)
ENDPOINT: dict[str, tuple[Reply, int, str]] = {
    "no JSON": (Reply(200, JSON, b"{"), 502, "the token endpoint answered 200 without an object"),
    "no UTF-8": (Reply(200, JSON, b'{"a": "\xff"}'), 502, "the token endpoint answered 200 without an object"),
    "deep": (Reply(200, JSON, b"[" * 100_000), 502, "the token endpoint answered 200 without an object"),
    "a list": (Reply(200, JSON, b"[]"), 502, "the token endpoint answered 200 without an object"),
    "as long as may be": (
        Reply(200, JSON, b"{}".ljust(MAX_BYTES)),
        502,
        "the token type is not Bearer",
    ),
    "longer": (Reply(200, JSON, b"{}".ljust(MAX_BYTES + 1)), 503, f"the document is over {MAX_BYTES} bytes"),
    "redirect": (
        Reply(302, (("Location", "/elsewhere"),), b""),
        503,
        "the answer is a redirect (302), which is not followed",
    ),
    "error": (Reply(500, (), b"x"), 502, "the token endpoint answered 500 without an object"),
    "created": (json_reply(201, {"error": "x"}), 502, "the token endpoint answered 201: x"),
    "refused": (json_reply(400, {"error": "invalid_grant"}), 502, "the token endpoint answered 400: invalid_grant"),
    "a longest word": (json_reply(400, {"error": "e" * 50}), 502, "the token endpoint answered 400: " + "e" * 50),
    **{
        f"an error that is {error!r}"[:30]: (
            json_reply(400, {"error": error}),
            502,
            "the token endpoint answered 400: an unreadable error",
        )
        for error in ("e" * 51, "two words", "a\n", "", None, 7, ["x"])
    },
    "no type": (json_reply(200, {"access_token": "x"}), 502, "the token type is not Bearer"),
    "another type": (json_reply(200, {"token_type": "mac"}), 502, "the token type is not Bearer"),
    "no token": (json_reply(200, {"token_type": "bearer"}), 502, "the ID token is invalid: Invalid token. (opaque)"),
    "no string": (
        json_reply(200, {"token_type": "BEARER", "id_token": ["a.b.c"]}),
        502,
        "the ID token is invalid: Invalid token. (malformed_header)",
    ),
}


@pytest.mark.parametrize("name", ENDPOINT)
async def test_why_the_answer_of_the_token_endpoint_is_refused(
    openid: OpenId, issuer: LiveIssuer, attempt: LoginState, name: str
) -> None:
    answer, status, reason = ENDPOINT[name]
    with changed_answers(issuer, lambda asked, reply: answer if asked.path == "/token" else reply):
        assert await why(openid, issuer, attempt) == (status, [reason])


@pytest.mark.parametrize("kind", ["bearer", "Bearer", "BEARER"])
async def test_the_case_of_the_token_type_is_ignored(
    openid: OpenId, issuer: LiveIssuer, attempt: LoginState, kind: str
) -> None:
    with tokens(issuer, attempt, token_type=kind):
        assert (await signed_in(openid, issuer, attempt)).subject == "user_alice"
