"""The SDKs between a careless program and a hostile server: each call ends, in time, with an error of the SDK."""

from __future__ import annotations

import gzip
import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts.sdk.python.griddy import ConnectionFailed, Griddy, NotFound, RetryPolicy
from tests.clients.failing_server import Answer, FailingServer, Handler, Step
from tests.clients.sdk_callers import Call, Caller, Result
from tests.support.certificate import make

TOKEN = "grd_test_" + "5ec7e7" * 8
ROW = {"id": 1}
HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example",
        "http://localhost.evil.example",
        "http://localhost@evil.example",
        "https://user:password@api.example",
        "https://user@api.example",
        "https:\\\\api.example",
        "https://api.example\\@evil.example",
        "ftp://127.0.0.1",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "//api.example",
        "https://api.example/v1",
        "https://",
        "https:///",
        "https://api.example:port",
        "https://api.example:99999",
        "https://api.example#x",
        "https://a?b",
        "https://api.example\n",
        " https://api.example",
        "https://api\t.example",
        "api.example",
        "",
    ],
)
def test_an_address_to_which_no_token_may_go_is_refused(griddy: Caller, url: str) -> None:
    assert "the address of the API" in griddy(Call(url, retries=0)).refused


def test_a_password_in_an_address_is_in_no_message(griddy: Caller) -> None:
    refused = griddy(Call("https://user:secret@api.example")).refused
    assert "a user or a password: remove it" in refused
    assert "secret" not in refused


@pytest.mark.parametrize("tokens", [("",), ("", ""), ("Bearer t",), (None,), (None, None), (7, 7), (["t"], ["t"])])
def test_what_is_no_token_is_refused(failing: FailingServer, griddy: Caller, tokens: Any) -> None:
    failing.follow([(200, {}, ROW)])
    assert griddy(Call(failing.url, tokens=tokens)).refused.startswith("the token is empty or has")
    assert failing.requests == []


@pytest.mark.parametrize("url", ["HTTP://LOCALHOST:1", "http://[::1]:1", "http://127.0.0.1:1/"])
def test_an_address_of_this_machine_needs_no_encryption(griddy: Caller, url: str) -> None:
    failed = griddy(Call(url, retries=0))
    assert (failed.error, failed.message.startswith(f"{url.lower().rstrip('/')}: ")) == ("ConnectionFailed", True)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "x",
        "https://elsewhere.example/x",
        "//elsewhere.example/x",
        "/\\elsewhere.example/x",
        "/\t/elsewhere.example/x",
        "\\\\elsewhere.example",
        "@elsewhere.example/",
        ":80@elsewhere.example/",
        "/api/v1/orgs/../../console",
        "/api/v1/orgs/%2e%2E/keys/",
        "/api/v1/orgs/.%2e/keys/",
        "/api/v1/orgs/./keys/",
        "/api/v1/teams/..",
        "/api/v1/teams/..?x",
        "/api/v1/teams/1/#fragment",
        "/api/v1/teams/\n",
        "/api/v1/teams/1\r\nX-Injected: 1",
        "/api/v1/teams/\x00",
        "/api/v1/teams/a b",
        "/api/v1/teams/\x7f",
        "/api/v1/teams/é",
        "/api/v1/teams/\u2028",
        "/" + "a" * 100_000,
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(failing: FailingServer, griddy: Caller, path: str) -> None:
    failing.follow([(200, {}, ROW)])
    assert "begins with one slash" in griddy(Call(failing.url, path=path)).refused
    assert failing.requests == []


@pytest.mark.parametrize(
    "path",
    ["/", "/a/...", "/a/..b/", "/a//b", "/a?x=..", "/a?next=/../b", "/a?u=https://b.example/", "/%2Fa", "/a;b=c"],
)
def test_another_path_arrives_as_it_is(failing: FailingServer, griddy: Caller, path: str) -> None:
    failing.follow([(200, {}, ROW)])
    assert griddy(Call(failing.url, path=path)).value == ROW
    assert failing.requests == [("GET", path, "Bearer t")]


@pytest.mark.parametrize("method", ["", "GET /x HTTP/1.1\r\nHost:", "TRACE", "CONNECT", "QUERY", "P\u017fT"])
def test_another_method_is_refused(failing: FailingServer, griddy: Caller, method: str) -> None:
    failing.follow([(200, {}, ROW)])
    assert "a method is one of" in griddy(Call(failing.url, method)).refused
    assert failing.requests == []


@pytest.mark.parametrize("row", ["1", "../../x", "1/../2", "1\n", "\x00", 1.5, None, [1], {"a": 1}])
def test_an_id_is_an_integer(failing: FailingServer, griddy: Caller, row: Any) -> None:
    failing.follow([(200, {}, ROW)])
    assert "an id is an integer" in griddy(Call(failing.url, do="retrieve", id=row)).refused
    assert failing.requests == []


@pytest.mark.parametrize("end", ["\n", '"', "=a", " ", "\r\nX-Injected: 1", "\x00", "é", "\u2028"])
@pytest.mark.parametrize("count", [1, 2])
def test_a_token_that_no_header_can_carry_is_in_no_message(
    failing: FailingServer, griddy: Caller, end: str, count: int
) -> None:
    """As from a file with a line break at its end; libraries show the header that they refuse."""
    failing.follow([(200, {}, ROW)])
    refused = griddy(Call(failing.url, tokens=[TOKEN + end] * count)).refused
    assert refused.startswith("the token is empty or has characters that no token has")
    assert TOKEN not in refused
    assert failing.requests == []


def test_neither_logs_nor_errors_show_the_token(failing: FailingServer, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("httpx", "httpcore"):  # whose levels an application in this process may have set
        caplog.set_level(logging.DEBUG, logger=name)
    failing.follow([(404, {}, {"detail": "d"})])
    with Griddy(failing.url, TOKEN) as griddy, pytest.raises(NotFound) as raised:
        griddy.teams.retrieve(1)
    error = raised.value
    shown = [repr(griddy), repr(error), *map(repr, vars(error).values()), str(error.response.request.headers.raw)]
    assert failing.url in repr(griddy)
    assert caplog.text
    assert not [text for text in (*shown, caplog.text) if TOKEN in text]


def test_no_proxy_of_the_environment_gets_a_token_in_the_clear(
    failing: FailingServer, griddy: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FailingServer() as proxy:
        proxy.follow([(200, {}, {"proxy": True})])
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        failing.follow([(200, {}, ROW)])
        assert griddy(Call(failing.url)).value == ROW


def test_a_header_may_have_any_bytes(failing: FailingServer, griddy: Caller) -> None:
    failing.follow([(200, {"X-Other": "é", "Link": "é", "X-Request-ID": "é"}, ROW)])
    assert griddy(Call(failing.url)).value == ROW


def test_a_cookie_is_not_sent_back(failing: FailingServer, griddy: Caller) -> None:
    failing.follow(
        [
            (200, {"Set-Cookie": "a=b"}, {"results": [ROW], "next": "/api/v1/teams/?cursor=c"}),
            (200, {}, {"results": [ROW], "next": None}),
        ]
    )
    assert griddy(Call(failing.url, do="list")).value == [ROW] * 2
    assert failing.cookies == [None, None]


ENDLESS: dict[str, Any] = {"results": [], "next": "/api/v1/teams/?cursor=c", "previous": None}


@pytest.mark.parametrize(
    ("resource", "answer"),
    [
        ("teams", (200, {}, ENDLESS)),
        ("teams", (200, {}, {"results": [ROW], "next": "/api/v1/teams/?cursor=c"})),
        ("teams", (200, {}, {"results": [ROW], "next": "/api/v1/sources/?cursor=c"})),
        ("teams", (200, {}, {"results": [ROW], "next": "/api/v1/teams/../sources/?cursor=c"})),
        ("teams", (200, {}, {"results": [ROW], "next": "//elsewhere.example/api/v1/teams/?cursor=c"})),
        ("teams", (200, {}, {"results": [ROW], "next": "/api/v1/teams/?cursor=c\r\nX-Injected: 1"})),
        ("teams", (200, {}, {"results": [ROW], "next": "/api/v1/teams/"})),
        ("teams", (200, {}, {"results": [ROW], "next": "/api/v1/teams/?cursor=" + "c" * 100_000})),
        ("teams", (200, {}, {"results": [ROW], "next": "file:///etc/passwd?x"})),
        ("teams", (200, {}, {"results": [ROW], "next": ""})),
        ("teams", (200, {}, {"results": [ROW], "next": 5})),
        ("teams", (200, {}, {"results": [ROW], "next": {"a": 1}})),
        ("teams", (200, {}, {"results": {"0": ROW}, "next": None})),
        ("teams", (200, {}, {"results": [1], "next": None})),
        ("teams", (200, {}, {"results": None, "next": None})),
        ("teams", (200, {}, {"results": [ROW]})),
        ("teams", (200, {}, {"results": [ROW], "next": "http://[::bad"})),
        ("api_keys", (200, {"Link": '<>; rel="next"'}, [ROW])),
        ("api_keys", (200, {"Link": '<?a=1>; rel="next"'}, [])),
        ("teams", (200, {}, {})),
        ("teams", (200, {}, [])),
        ("teams", (200, {}, "text")),
        ("teams", (200, {}, None)),
        ("teams", (200, {}, b"<html>Sign in to the hotel's network</html>")),
        ("teams", (200, {}, b"[" * 200_000)),
        ("teams", (200, {}, b'{"results": [{"id": "\xff"}]}')),
        ("api_keys", (200, {"Link": '</api/v1/api-keys/?cursor=c>; rel="next"'}, [ROW])),
        ("api_keys", (200, {"Link": '<https://elsewhere.example/x?cursor=c>; rel="next"'}, [ROW])),
        ("api_keys", (200, {"Link": "</api/v1/api-keys/?cursor=c>; rel=next, garbage"}, [ROW])),
        ("api_keys", (200, {"Link": "<"}, [ROW])),
        ("api_keys", (200, {"Link": "; rel=next"}, [ROW])),
        ("api_keys", (200, {}, {"results": [ROW]})),
        ("api_keys", (200, {}, [[]])),
    ],
)
def test_pages_that_are_none_or_have_no_end_are_an_error(
    failing: FailingServer, griddy: Caller, resource: str, answer: Answer
) -> None:
    failing.follow([answer])
    result = griddy(Call(failing.url, do="list", resource=resource))
    assert result.error == "UnexpectedResponse", result
    assert result.message.startswith("200: the response is not one of the API: ")
    assert len(failing.requests) <= 2
    assert {(path.partition("?")[0], token) for _, path, token in failing.requests} == {
        (f"/api/v1/{resource.replace('_', '-')}/", "Bearer t")
    }


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"1", b"{", b'{"a": 1} {}', b"\xff\xfe"])
def test_a_body_that_is_no_object_is_an_error(failing: FailingServer, griddy: Caller, content: bytes) -> None:
    failing.follow([(200, {}, content)])
    assert griddy(Call(failing.url, do="retrieve")).error == "UnexpectedResponse"


@pytest.mark.parametrize(
    "link",
    [
        '<http://elsewhere.example/api/v1/api-keys/?cursor=c>; rel="next"',
        '<//elsewhere.example/../api/v1/policies/?cursor=c#x>; rel="next"',
        "</api/v1/api-keys?cursor=c>; rel=next",
        "<?cursor=c>; REL=NEXT",
        '</x>; rel="prev", <?cursor=c>; title="a, b; \\"rel=prev\\""; rel="last next"',
        '<?cursor=d>; rel="next"; anchor="#x", <?cursor=c>; rel="next"; rel="prev"',
    ],
)
def test_a_link_leads_to_the_next_page_of_the_same_list(failing: FailingServer, griddy: Caller, link: str) -> None:
    failing.follow([(200, {"Link": link}, [{"id": 2}]), (200, {"Link": '</x>; rel="prev"'}, [{"id": 1}])])
    assert griddy(Call(failing.url, do="list", resource="api_keys")).value == [{"id": 2}, {"id": 1}]
    assert failing.requests == [
        ("GET", "/api/v1/api-keys/", "Bearer t"),
        ("GET", "/api/v1/api-keys/?cursor=c", "Bearer t"),
    ]


def test_pages_are_read_only_as_far_as_the_program_reads_them(failing: FailingServer, griddy: Caller) -> None:
    pages: list[Step] = [
        (200, {}, {"results": [ROW] * 2, "next": f"/api/v1/teams/?cursor={number}", "previous": None})
        for number in range(9)
    ]
    failing.follow(pages)
    assert griddy(Call(failing.url, do="list", limit=5)).value == [ROW] * 5
    assert len(failing.requests) == 3


def drip_head(handler: Handler) -> None:
    handler.drip(HEAD, b"X")


def drip_body(handler: Handler) -> None:
    handler.drip(HEAD + b"\r\n", b" ")


def pour_body(handler: Handler) -> None:
    handler.pour(HEAD + b"\r\n", b" " * 1_000_000)


def pour_head(handler: Handler) -> None:
    handler.pour(HEAD, b"X-More: 1\r\n" * 1000)


@pytest.mark.parametrize("griddy", ["async", "typescript"], indirect=True)
def test_a_slow_head_ends_in_time(failing: FailingServer, griddy: Caller) -> None:
    """Not with the synchronous client, whose library has no limit for all parts of a head without TLS."""
    failing.follow([drip_head])
    assert griddy(Call(failing.url, retries=0, timeout=0.3)).error == "ConnectionFailed"


@pytest.mark.parametrize("griddy", ["sync"], indirect=True)
def test_all_parts_of_an_attempt_over_tls_end_in_time(
    griddy: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server sends a byte of the head or the body now and then, or none, or does not read what the client sends."""
    certificate = make(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))
    large = {"a": "a" * 20_000_000}
    with FailingServer(certificate) as server:

        def result(step: Step, call: Call) -> Result:
            server.follow([step])
            return griddy(replace(call, url=server.url, retries=0))

        assert result((200, {}, ROW), Call("", path="/x")).value == ROW
        for step in (drip_head, drip_body, lambda handler: handler.drip(b"", b"")):
            assert result(step, Call("", timeout=0.15)).error == "ConnectionFailed"
        server.reads_slowly = True
        assert result((200, {}, ROW), Call("", "PUT", json=large, timeout=0.15)).error == "ConnectionFailed"


def test_the_limit_of_an_attempt_is_not_that_of_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = make(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))
    monkeypatch.setattr(Handler, "protocol_version", "HTTP/1.1")  # which keeps the connection
    retry = RetryPolicy(retries=0)
    with FailingServer(certificate) as server, Griddy(server.url, TOKEN, timeout=0.4, retry=retry) as client:
        server.follow([(200, {}, ROW), (200, {}, ROW), drip_head])
        assert client.teams.retrieve(1)["id"] == 1
        time.sleep(0.45)
        assert client.teams.retrieve(1)["id"] == 1
        with pytest.raises(ConnectionFailed):
            client.teams.retrieve(1)
        assert len(server.connections) == 1


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (drip_body, "ConnectionFailed"),
        (pour_body, "UnexpectedResponse"),
        (pour_head, "ConnectionFailed"),
        ((200, {"Content-Encoding": "gzip"}, gzip.compress(b" " * 70_000_000)), "UnexpectedResponse"),
        ((200, {"Content-Encoding": "gzip, gzip"}, gzip.compress(gzip.compress(b"{}"))), "UnexpectedResponse"),
        ((200, {"Content-Encoding": "unknown"}, b"{}"), "UnexpectedResponse"),
        ((200, {"Content-Encoding": "gzip"}, b"no gzip"), "ConnectionFailed"),
        ((200, {"Content-Length": "5"}, b"{}"), "ConnectionFailed"),
    ],
    ids=[
        "slow body",
        "endless body",
        "endless head",
        "small body with much in it",
        "twice",
        "unknown",
        "damaged body",
        "cut body",
    ],
)
def test_a_response_ends_in_time_and_at_a_size(failing: FailingServer, griddy: Caller, step: Step, error: str) -> None:
    failing.follow([step])
    started = time.monotonic()
    result = griddy(Call(failing.url, retries=0, timeout=0.3 if step is drip_body else 10))
    assert result.error == error, result
    assert time.monotonic() - started < 9, "the server would go on for ever"
