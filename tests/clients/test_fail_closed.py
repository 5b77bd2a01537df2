"""Whenever a decision point gives no valid answer, both clients deny, with a reason.

The correct answer to every question here is allow, so that a deceived client would allow.
"""

from __future__ import annotations

import socket

import pytest

from tests.clients.asking import TOKEN, Client, Order, Outcome, question
from tests.clients.peer import Behaviour, Exchange, Peer, well

ALICE = question("alice")
HOW = {"alone": Order("", [ALICE], alone=True), "batch": Order("", [ALICE, ALICE, ALICE], batch=3)}
BROKEN = "no answer: "
NOT_JSON = "the answer is not JSON"
NEITHER = "the answer's decision is neither true nor false"
NO_LIST = "the answer has no list of evaluations"


def ask(client: Client, how: str, url: str, timeout: float = 20.0) -> Outcome:
    order = HOW[how]
    return client.ask(Order(url, order.questions, order.alone, timeout, order.batch))


def denied(outcome: Outcome, how: str, failure: str) -> None:
    """Check that an outcome is a denial of everything with one reason, which begins with a text."""
    assert outcome.allowed == [False] * len(HOW[how].questions)
    assert len(outcome.failures) == 1
    assert outcome.failures[0].startswith(failure)
    assert TOKEN not in outcome.failures[0]
    assert len(outcome.ids) == 1


def says(content: bytes, status: int = 200, **headers: str) -> Behaviour:
    return lambda exchange, _: exchange.answer(status, content, **headers)


def turns(before: bytes, after: bytes = b"") -> Behaviour:
    """The correct answer between two texts."""
    return lambda exchange, content: exchange.answer(200, before + content + after)


def status(code: int, **headers: str) -> Behaviour:
    """The correct answer with another status."""
    return lambda exchange, content: exchange.answer(code, content, **headers)


def recoded(encoding: str) -> Behaviour:
    return lambda exchange, content: exchange.answer(200, content.decode().encode(encoding))


def raw(text: bytes) -> Behaviour:
    """Bytes that end with the connection."""

    def write(exchange: Exchange, content: bytes) -> None:
        exchange.wfile.write(text + content)
        exchange.close_connection = True

    return write


def hangs_up(exchange: Exchange, content: bytes) -> None:
    exchange.close_connection = True


def repeats_the_token(exchange: Exchange, content: bytes) -> None:
    """A broken status line that contains the request."""
    exchange.wfile.write(exchange.headers["Authorization"].encode() + b" 200 OK\r\n\r\n" + content)
    exchange.close_connection = True


def drips_a_head(exchange: Exchange, content: bytes) -> None:
    exchange.drip(b"HTTP/1.1 200 OK\r\nX-Filler: " + b"x" * 1000)


def drips_a_body(exchange: Exchange, content: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content) + 1000}\r\n\r\n"
    exchange.wfile.write(head.encode() + content)
    exchange.drip(b" " * 1000)


def waits(exchange: Exchange, content: bytes) -> None:
    exchange.peer.closed.wait(60)


BAD = {
    "an empty body": (says(b""), NOT_JSON),
    "a page": (says(b"<html>Sign in to the network</html>", Content_Type="text/html"), NOT_JSON),
    "more after it": (turns(b"", b"}"), NOT_JSON),
    "two answers": (turns(b'{"decision": true}'), NOT_JSON),
    "a missing end": (lambda exchange, content: exchange.answer(200, content[:-1]), NOT_JSON),
    "a byte order mark": (recoded("utf-8-sig"), NOT_JSON),
    "UTF-16": (recoded("utf-16"), NOT_JSON),
    "bytes of no encoding": (says(b'{"decision": true, "evaluations": [], "context": "\xff"}'), NOT_JSON),
    "not a number": (lambda exchange, content: exchange.answer(200, content[:-1] + b', "x": NaN}'), NOT_JSON),
    "brackets, and no end": (says(b"[" * 500_000), NOT_JSON),
    "five million spaces": (turns(b"", b" " * 5_000_000), "the answer is longer than 4000000 bytes"),
    "201": (status(201), "the decision point answered 201"),
    "203": (status(203), "the decision point answered 203"),
    "204": (status(204), "the decision point answered 204"),
    "400": (status(400), "the decision point answered 400"),
    "401": (status(401), "the decision point answered 401: it does not take our token"),
    "403": (status(403), "the decision point answered 403: our token lacks decisions:evaluate or tokens:introspect"),
    "404": (status(404), "the decision point answered 404"),
    "429": (status(429), "the decision point answered 429"),
    "500": (status(500), "the decision point answered 500"),
    "502": (status(502), "the decision point answered 502"),
}
NO_DECISION = {
    "an array": b'[{"decision": true}]',
    "null": b"null",
    "true": b"true",
    "a string": b'"true"',
    "nothing": b"{}",
    "another case": b'{"Decision": true}',
    "of a prototype": b'{"__proto__": {"decision": true}}',
    "a string in it": b'{"decision": "true"}',
    "one": b'{"decision": 1}',
    "null in it": b'{"decision": null}',
    "a list in it": b'{"decision": [true]}',
    "an object in it": b'{"decision": {"decision": true}}',
}
NO_DECISIONS = {
    "a single decision": (b'{"decision": true}', NO_LIST),
    "a bare list": (b'[{"decision": true}, {"decision": true}, {"decision": true}]', NO_LIST),
    "null": (b'{"decision": true, "evaluations": null}', NO_LIST),
    "a numbered object": (b'{"evaluations": {"0": {"decision": true}, "length": 3}}', NO_LIST),
    "an empty list": (b'{"evaluations": []}', "the answer has 0 decisions for 3 questions"),
    "one": (b'{"evaluations": [{"decision": true}]}', "the answer has 1 decisions for 3 questions"),
    "four": (
        b'{"evaluations": [{"decision": true}, {"decision": true}, {"decision": true}, {"decision": true}]}',
        "the answer has 4 decisions for 3 questions",
    ),
    "bare booleans": (b'{"evaluations": [true, true, true]}', NEITHER),
}


@pytest.mark.parametrize("how", HOW)
def test_a_valid_answer_allows(client: Client, how: str) -> None:
    with Peer() as peer:
        outcome = ask(client, how, peer.url)
    assert outcome.allowed == [True] * len(HOW[how].questions)
    assert outcome.failures == []
    assert len(peer.requests) == 1


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("case", BAD)
def test_an_invalid_answer_denies_and_is_not_retried(client: Client, case: str, how: str) -> None:
    behaviour, failure = BAD[case]
    with Peer(behaviour, well) as peer:
        denied(ask(client, how, peer.url), how, failure)
    assert len(peer.requests) == 1


@pytest.mark.parametrize("case", NO_DECISION)
def test_only_the_boolean_true_allows(client: Client, case: str) -> None:
    with Peer(says(NO_DECISION[case])) as peer:
        denied(ask(client, "alone", peer.url), "alone", NEITHER)


@pytest.mark.parametrize("case", NO_DECISIONS)
def test_a_batch_needs_a_decision_for_each_evaluation(client: Client, case: str) -> None:
    content, failure = NO_DECISIONS[case]
    with Peer(says(content)) as peer:
        denied(ask(client, "batch", peer.url), "batch", failure)


@pytest.mark.parametrize("case", NO_DECISION)
def test_an_invalid_decision_in_a_batch_is_denied_in_its_place(client: Client, case: str) -> None:
    content = b'{"evaluations": [{"decision": true}, %s, {"decision": true}]}' % NO_DECISION[case]
    with Peer(says(content)) as peer:
        outcome = ask(client, "batch", peer.url)
    assert outcome.allowed == [True, False, True]
    assert outcome.failures == [NEITHER]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(client: Client, code: int, how: str) -> None:
    """Otherwise the other host would receive the token and make the decision."""
    with Peer(status(code, Location="/elsewhere"), well) as peer:
        denied(ask(client, how, peer.url), how, f"the decision point answered {code}")
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    ("behaviour", "how"), [(waits, "alone"), (waits, "batch"), (drips_a_head, "alone"), (drips_a_body, "batch")]
)
def test_the_timeout_covers_the_whole_call(client: Client, behaviour: Behaviour, how: str) -> None:
    """Also if data arrives all the time."""
    with Peer(behaviour) as peer:
        outcome = ask(client, how, peer.url, timeout=0.5)
    denied(outcome, how, "no answer within 0.5 s")
    assert 0.4 < outcome.seconds < 5
    assert len(peer.requests) == 1


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(
    "behaviour",
    [
        hangs_up,
        raw(b"hello "),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        repeats_the_token,
    ],
    ids=["hangs up", "no HTTP", "cut short", "bad chunks", "the token as a status line"],
)
def test_a_broken_connection_is_retried_once(client: Client, behaviour: Behaviour, how: str) -> None:
    with Peer(behaviour) as peer:
        denied(ask(client, how, peer.url), how, BROKEN)
    assert len(peer.requests) == 2
    with Peer(behaviour, well) as fixed:
        assert all(ask(client, how, fixed.url).allowed)
    assert len(fixed.requests) == 2
    first, second = fixed.requests
    assert first.body == second.body
    assert first.headers["x-request-id"] == second.headers["x-request-id"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("headers", [{}, {"Retry_After": "0"}])
def test_503_is_retried_once(client: Client, headers: dict[str, str], how: str) -> None:
    with Peer(status(503, **headers)) as peer:
        denied(ask(client, how, peer.url), how, "the decision point answered 503: it cannot decide now")
    assert len(peer.requests) == 2
    with Peer(status(503, **headers), well) as fixed:
        assert all(ask(client, how, fixed.url).allowed)
    assert len(fixed.requests) == 2


def test_503_is_retried_after_the_stated_time(client: Client) -> None:
    with Peer(status(503, Retry_After="1"), well) as peer:
        outcome = ask(client, "batch", peer.url)
    assert all(outcome.allowed)
    assert outcome.seconds >= 1


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("after", ["30", "Tue, 24 Nov 2099 13:45:19 GMT", "-1", "1e0", "soon", "99999999999"])
def test_a_retry_of_503_does_not_exceed_the_timeout(client: Client, after: str, how: str) -> None:
    with Peer(status(503, Retry_After=after), well) as peer:
        outcome = ask(client, how, peer.url)
    denied(outcome, how, "the decision point answered 503: it cannot decide now")
    assert len(peer.requests) == 1
    assert outcome.seconds < 5


@pytest.mark.parametrize("how", HOW)
def test_a_refused_connection_denies(client: Client, how: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    outcome = ask(client, how, f"http://127.0.0.1:{port}")
    assert outcome.allowed == [False] * len(HOW[how].questions)
    assert outcome.failures in (["cannot connect: All connection attempts failed"], ["no answer: ECONNREFUSED"])
    assert outcome.seconds < 5


@pytest.mark.parametrize("how", HOW)
def test_an_unknown_host_name_denies(client: Client, how: str) -> None:
    outcome = ask(client, how, "http://pdp.invalid")
    assert outcome.allowed == [False] * len(HOW[how].questions)
    assert len(outcome.failures) == 1
