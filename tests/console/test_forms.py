"""Forms: protection against forgery, validation, and single use."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Self

import pytest
from litestar import HttpMethod, Litestar, Response, route
from litestar._parsers import parse_url_encoded_form_data
from litestar.testing import TestClient
from pydantic import BaseModel, Field, model_validator

from app.console.config import Console
from app.console.cookies import csrf_token
from app.console.forms import MAX_DRAFT_BYTES, OF_DRAFT, TOO_LARGE, only_own_forms, read_form, sent_form
from app.console.single_use import FormId, new_form_id, use_form
from app.db.engine import open_engine
from app.db.session import sessions_of
from app.http.wire.problems import Problem
from app.services import AnyRequest
from tests.support.server import prepared_database
from tests.support.services import state_of

TOKEN = "t" * 43
CSRF = csrf_token(TOKEN)
URL = "http://console.example"
OTHER_SESSION = "This form is from another session, so nothing was done. Go back, reload, and send it again."
FORM = "application/x-www-form-urlencoded"


class Numbers(BaseModel):
    first: int
    second: str = "left out"
    list_of: list[Annotated[int, Field(lt=9)]] = []
    tuple_of: tuple[str, ...] = ()

    @model_validator(mode="after")
    def are_not_equal(self) -> Self:
        if [self.first] == self.list_of:
            raise ValueError("They are equal.")
        return self


METHODS = [HttpMethod.GET, HttpMethod.HEAD, HttpMethod.OPTIONS, HttpMethod.POST, HttpMethod.PUT]


@route("/form", http_method=METHODS, status_code=200)
async def take(request: AnyRequest) -> dict[str, Any]:
    form = await read_form(request, Numbers)
    value = form.value.model_dump(mode="json") if form.value else None
    return {"value": value, "errors": form.errors, "given": form.given}


def client_of(console: Console | None, *handlers: Any) -> TestClient[Litestar]:
    app = Litestar(
        [take, *handlers],
        before_request=only_own_forms,
        state=state_of(console=console),
        exception_handlers={Problem: lambda _, problem: Response(problem.detail, status_code=problem.status)},
    )
    return TestClient(app, base_url=URL)


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient[Litestar]]:
    with client_of(Console(URL, "https://issuer.example", "console", None, 3600, 0)) as started:
        yield started


def send(client: TestClient[Litestar], body: str, method: str = "POST", **headers: str) -> tuple[int, str]:
    """Send a form of this session with changed headers, without empty ones; return status and text."""
    stated = {"Cookie": f"authz={TOKEN}", "Content-Type": FORM, **{k.replace("_", "-"): v for k, v in headers.items()}}
    answer = client.request(
        method, "/form", content=body, headers={name: value for name, value in stated.items() if value}
    )
    return answer.status_code, answer.text


GOOD = f"first=1&csrf={CSRF}"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (GOOD, {}),
        (GOOD, {"Origin": URL}),
        (GOOD, {"Content_Type": f"{FORM}; charset=utf-8"}),
        (GOOD + "&second=%C3%A9", {}),
        ("first=1", {"X_CSRF_Token": CSRF}),
        ("first=1&csrf=x", {"X_CSRF_Token": CSRF}),
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_form_of_this_session_is_accepted(
    client: TestClient[Litestar], method: str, body: str, headers: dict[str, str]
) -> None:
    assert send(client, body, method, **headers)[0] == 200


LONGEST, MOST = 65_536, 2_000  # bytes and fields
FILLED = f"{GOOD}&a=".ljust(LONGEST, "x")


@pytest.mark.parametrize("form", [f"{FILLED}x", GOOD + "&a" * (MOST - 1), GOOD + "&" * (MOST - 1), "csrf=&" * 9_000])
def test_a_form_that_is_larger_than_any_page_sends_is_refused(client: TestClient[Litestar], form: str) -> None:
    assert send(client, form) == (413, TOO_LARGE)
    assert send(client, form, Cookie="") == (413, TOO_LARGE), "before it is decoded"


@pytest.mark.parametrize("form", [FILLED, GOOD + "&a" * (MOST - 2)], ids=["bytes", "fields"])
def test_the_largest_form_is_accepted(client: TestClient[Litestar], form: str) -> None:
    assert send(client, form)[0] == 200


def test_forms_with_a_policy_may_be_longer() -> None:
    @route(
        "/policy", http_method=[HttpMethod.POST], status_code=200, request_max_body_size=MAX_DRAFT_BYTES, opt=OF_DRAFT
    )
    async def edit(request: AnyRequest) -> int:
        return len(sent_form(request)["text"])

    with client_of(Console(URL, "https://issuer.example", "console", None, 3600, 0), edit) as started:
        sent = {"csrf": CSRF, "text": "x" * 2 * LONGEST}
        answer = started.post("/policy", data=sent, headers={"Cookie": f"authz={TOKEN}"})
        assert (answer.status_code, answer.json()) == (200, 2 * LONGEST)
        parse_url_encoded_form_data.cache_clear()
        for text, status in (("x" * (MAX_DRAFT_BYTES - len(GOOD) - 6), 200), ("x" * MAX_DRAFT_BYTES, 413)):
            headers = {"Cookie": f"authz={TOKEN}", "Content-Type": FORM}
            assert started.post("/policy", content=f"{GOOD}&text={text}", headers=headers).status_code == status
        assert parse_url_encoded_form_data.cache_info().currsize == 0, "no form is kept"


@pytest.mark.parametrize(
    ("body", "headers", "status", "text"),
    [
        *(
            (GOOD, {"Origin": origin}, 403, "This form was sent from another site, so nothing was done.")
            for origin in ("null", "https://console.example", URL + "/", URL + ":80", "http://evil.example", "x")
        ),
        *(
            (GOOD, {"Content_Type": kind}, 415, "A form is sent as application/x-www-form-urlencoded.")
            for kind in ("", "text/plain", "application/json", "multipart/form-data; boundary=a", FORM + "x")
        ),
        *(
            (GOOD + more, {}, 400, "This form is not in UTF-8, so nothing was done.")
            for more in ("&a=é", "&a=%FF", "&a=%C3", "&%ED%A0%80=1")
        ),
        *(
            (body, {}, 403, OTHER_SESSION)
            for body in ("", "first=1", "csrf=", f"csrf={CSRF}x", f"csrf={CSRF[:-1]}", f"csrf={TOKEN}", "csrf=%C3%A9")
        ),
        (f"csrf={csrf_token('o' * 43)}", {}, 403, OTHER_SESSION),
        (GOOD, {"X_CSRF_Token": "x"}, 403, OTHER_SESSION),
        *((GOOD, {"Cookie": cookie}, 403, OTHER_SESSION) for cookie in ("", "authz=x", f"authz={TOKEN}; authz=x")),
        *((body, {"Cookie": ""}, 403, OTHER_SESSION) for body in ("", "csrf=", "first=1")),
    ],
    ids=str,
)
def test_any_other_form_is_refused_with_a_reason(
    client: TestClient[Litestar], body: str, headers: dict[str, str], status: int, text: str
) -> None:
    for method in ("POST", "PUT"):
        assert send(client, body, method, **headers) == (status, text)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_safe_method_needs_no_csrf_token(client: TestClient[Litestar], method: str) -> None:
    assert send(client, "", method, Cookie="", Origin="http://evil.example", Content_Type="")[0] == 200


def test_no_form_is_accepted_without_a_console() -> None:
    with client_of(None) as client:
        assert send(client, GOOD) == (404, "This deployment has no console.")
        assert send(client, "", "GET")[0] == 200


@pytest.mark.parametrize(
    ("body", "value", "errors", "given"),
    [
        ("first=1", {"first": 1, "second": "left out", "list_of": [], "tuple_of": []}, {}, {"first": "1"}),
        (
            "first=7&first=8&first=1&second=x&list_of=2&list_of=3&tuple_of=a",
            {"first": 1, "second": "x", "list_of": [2, 3], "tuple_of": ["a"]},
            {},
            {"first": "1", "second": "x", "list_of": ["2", "3"], "tuple_of": ["a"]},
        ),
        (
            "first=1&second=&list_of=&other=x",
            None,
            {"list_of": "Input should be a valid integer, unable to parse string as an integer"},
            {"first": "1", "list_of": [""]},
        ),
        ("second=x", None, {"first": "This field is required."}, {"second": "x"}),
        ("first=1&first=&second=x", None, {"first": "This field is required."}, {"second": "x"}),
        (
            "first=&first=1&second=&second=x",
            {"first": 1, "second": "x", "list_of": [], "tuple_of": []},
            {},
            {"first": "1", "second": "x"},
        ),
        ("first=&first=1&first=", None, {"first": "This field is required."}, {}),
        ("first=1&list_of=9", None, {"list_of": "Input should be less than 9"}, {"first": "1", "list_of": ["9"]}),
        ("first=1&list_of=1", None, {"": "They are equal."}, {"first": "1", "list_of": ["1"]}),
    ],
)
def test_the_validated_fields_of_a_form(
    client: TestClient[Litestar], body: str, value: object, errors: dict[str, str], given: dict[str, Any]
) -> None:
    answer = client.post(
        "/form", content=f"{body}&csrf={CSRF}", headers={"Cookie": f"authz={TOKEN}", "Content-Type": FORM}
    )
    lists: dict[str, Any] = {"list_of": [], "tuple_of": []}
    assert answer.json() == {"value": value, "errors": errors, "given": {**lists, **given}}


def test_a_form_is_accepted_once_per_session(tmp_path: Path) -> None:
    shutil.copy(prepared_database(), tmp_path / "authz.db")
    engine = open_engine(f"sqlite:///{tmp_path / 'authz.db'}")

    @route("/used-form", http_method=[HttpMethod.POST])
    async def use(request: AnyRequest) -> str:
        async with sessions_of(engine)() as session:
            await use_form(session, request, sent_form(request)["form_id"], datetime.now(UTC), "It was sent before.")
            await session.commit()
        return "done"

    async def close() -> None:
        await engine.dispose()

    def sent(client: TestClient[Litestar], token: str, form_id: str) -> tuple[int, str]:
        body = {"form_id": form_id, "csrf": csrf_token(token)}
        answer = client.post("/used-form", data=body, headers={"Cookie": f"authz={token}"})
        return answer.status_code, answer.text

    with client_of(Console(URL, "https://issuer.example", "console", None, 3600, 0), use) as started:
        started.app.on_shutdown.append(close)
        first, second = new_form_id(), new_form_id()
        for token in (TOKEN, "o" * 43):
            for form_id in (first, second):
                assert sent(started, token, form_id) == (201, "done")
                assert sent(started, token, form_id) == (409, "It was sent before.")


def test_a_new_form_id_is_valid() -> None:
    class Sent(BaseModel):
        form_id: FormId

    ids = {new_form_id() for _ in range(50)}
    assert len(ids) == 50
    assert {Sent(form_id=each).form_id for each in ids} == ids
    for bad in ("", "a" * 31, "a" * 33, "A" * 32, "g" * 32, "a" * 32 + "\n"):
        with pytest.raises(ValueError, match="pattern"):
            Sent(form_id=bad)
