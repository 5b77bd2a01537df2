"""What is read from a request of an app: its parameters, and how it authenticates."""

from __future__ import annotations

from base64 import b64encode

import pytest
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import RequestBody, Schema

from app.http.api.oauth.form import AppForm, kept_request, read_parameters
from app.http.api.oauth.par import push_authorization_request
from app.http.api.oauth.revocation import revoke_token
from app.http.api.oauth.token import issue_tokens
from app.oauth.client_authentication import ClientCredentials, read_credentials
from app.oauth.errors import BadClientSecret, OAuthError
from app.oauth.requests import OpenRequest

ID = "https://app.example/client.json"


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("", AppForm({}, ())),
        ("a=", AppForm({}, ())),
        ("a=1&b=%C3%A9+%20&c=&c=", AppForm({"a": "1", "b": "é  "}, ())),
        ("a=&a=1", AppForm({"a": "1"}, ())),
        ("resource=x&a=1&resource=y&resource=", AppForm({"a": "1"}, ("x", "y"))),
        ("&".join(f"a{number}=1" for number in range(30)), AppForm({f"a{number}": "1" for number in range(30)}, ())),
    ],
    ids=lambda value: str(value)[:30],
)
def test_the_parameters_of_a_request(text: str, form: AppForm) -> None:
    assert read_parameters(text) == form


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "not encoded"),
        ("a=1&&b=2", "not encoded"),
        ("a=%FF", "not encoded"),
        ("&".join(f"a{number}=1" for number in range(31)), "not encoded"),
        ("a=1%00", "a character that no value can have"),
        ("resource=%00", "a character that no value can have"),
        ("a=1&a=1", "A parameter is repeated"),
        ("a=1&b=2&a=2&resource=x", "A parameter is repeated"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_parameters_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(OAuthError, match=message) as refused:
        read_parameters(text)
    assert refused.value.code == "invalid_request"


def test_what_is_kept_of_a_request() -> None:
    form = read_parameters("client_id=a&client_secret=s&state=x&scope=&request=r&more=1&resource=u&resource=v")
    assert kept_request("a", form) == OpenRequest("a", {"state": "x", "request": "r", "resource": "u v"})
    assert kept_request("a", read_parameters("client_id=a")) == OpenRequest("a", {})
    names = "response_type response_mode redirect_uri scope state code_challenge code_challenge_method resource request"
    each = dict.fromkeys(names.split(), "x")
    assert kept_request("a", read_parameters("&".join(f"{name}=x" for name in each))) == OpenRequest("a", each)


@pytest.mark.parametrize(
    ("handler", "required"),
    [
        (push_authorization_request, ["response_type", "code_challenge", "code_challenge_method"]),
        (issue_tokens, ["grant_type"]),
        (revoke_token, ["token"]),
    ],
    ids=str,
)
def test_what_the_openapi_document_says_of_a_form(handler: HTTPRouteHandler, required: list[str]) -> None:
    body = handler.operation_class().request_body
    assert isinstance(body, RequestBody)
    schema = body.content["application/x-www-form-urlencoded"].schema
    assert isinstance(schema, Schema)
    assert (body.required, schema.required) == (True, required)
    assert {*required, "client_id", "client_secret"} <= set(schema.properties or ())


def basic(text: str) -> str:
    return f"Basic {b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    ("header", "form", "credentials"),
    [
        (None, {"client_id": "a"}, ClientCredentials("a", None, basic=False)),
        (None, {"client_id": "a", "client_secret": "s"}, ClientCredentials("a", "s", basic=False)),
        (basic("a:s"), {}, ClientCredentials("a", "s", basic=True)),
        (basic("a:s"), {"client_id": "a"}, ClientCredentials("a", "s", basic=True)),
        (basic("a:s").replace("Basic ", "bASIC  ") + " ", {}, ClientCredentials("a", "s", basic=True)),
        (basic("a:"), {}, ClientCredentials("a", None, basic=True)),
        (basic("a:s:t"), {}, ClientCredentials("a", "s:t", basic=True)),
        (basic(f"{ID.replace(':', '%3A')}:s+%2B"), {"client_id": ID}, ClientCredentials(ID, "s +", basic=True)),
    ],
)
def test_the_credentials_of_an_app(header: str | None, form: dict[str, str], credentials: ClientCredentials) -> None:
    assert read_credentials(header, form) == credentials


@pytest.mark.parametrize(
    ("header", "form", "is_basic"),
    [
        (None, {}, False),
        (None, {"client_secret": "s"}, False),
        (basic("a"), {}, True),
        (basic(""), {}, True),
        (basic("a:é"), {}, True),
        (basic("a%00:s"), {}, True),
        (basic("a%0A:s"), {}, True),
        (basic("a:s"), {"client_id": "b"}, True),
        (basic("a:s"), {"client_id": "A"}, True),
        ("Basic", {}, True),
        ("Basic !", {}, True),
        (basic("a:s") + "!", {}, True),
        (basic("a:s")[:-1], {}, True),
    ],
)
def test_credentials_that_are_refused(header: str | None, form: dict[str, str], is_basic: bool) -> None:
    with pytest.raises(BadClientSecret) as refused:
        read_credentials(header, form)
    assert (refused.value.code, refused.value.basic) == ("invalid_client", is_basic)


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("", {"client_id": "a"}),
        ("Bearer x", {"client_id": "a"}),
        (basic("a:s").replace("Basic", "Basic1"), {}),
        (basic("a:s").replace(" ", "\t"), {}),
        (basic("a:s"), {"client_secret": "s"}),
        (basic("a:s"), {"client_id": "a", "client_secret": "s"}),
    ],
)
def test_another_way_to_authenticate_is_an_invalid_request(header: str, form: dict[str, str]) -> None:
    with pytest.raises(OAuthError) as refused:
        read_credentials(header, form)
    assert refused.value.code == "invalid_request"
