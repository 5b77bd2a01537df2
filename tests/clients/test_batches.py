"""Many questions in one call, and settings that both clients refuse."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.clients.asking import NAN, TOKEN, Client, Order, Refused, question
from tests.clients.peer import Exchange, Peer, well

MANY = [question("alice" if number % 3 else "bob", resource=f"record-{number}") for number in range(250)]
RIGHT = [bool(number % 3) for number in range(250)]


def fails(exchange: Exchange, content: bytes) -> None:
    exchange.answer(500, content)


def dawdles(exchange: Exchange, content: bytes) -> None:
    exchange.peer.closed.wait(0.3)
    well(exchange, content)


def test_a_single_question_is_sent_as_an_evaluation(client: Client) -> None:
    asked = question("alice", context={"time": "2026-01-01T00:00:00Z", "ü": [1, 1.5, None, True, {}]})
    with Peer() as peer:
        assert client.ask(Order(peer.url + "/pdp/", [asked], alone=True)).allowed == [True]
    (request,) = peer.requests
    assert request.path == "/pdp/access/v1/evaluation"
    assert request.body == asked
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize("batch", [1, 7, 100, 250, 1000])
def test_many_evaluations_are_sent_in_batches_and_answered_in_order(client: Client, batch: int) -> None:
    with Peer() as peer:
        assert client.ask(Order(peer.url, MANY, batch=batch)).allowed == RIGHT
    assert {request.path for request in peer.requests} == {"/access/v1/evaluations"}
    assert [item for request in peer.requests for item in request.body["evaluations"]] == MANY
    sizes = [len(request.body["evaluations"]) for request in peer.requests]
    assert sizes == [batch] * (250 // batch) + ([250 % batch] if 250 % batch else [])


def test_no_evaluations_are_not_sent(client: Client) -> None:
    """An empty list of evaluations would be read as a single evaluation."""
    with Peer() as peer:
        assert client.ask(Order(peer.url, [])).allowed == []
    assert peer.requests == []


def test_a_batch_that_fails_ends_the_call(client: Client) -> None:
    with Peer(well, fails, well) as peer:
        outcome = client.ask(Order(peer.url, MANY, batch=100))
    assert outcome.allowed == RIGHT[:100] + [False] * 150
    assert outcome.failures == ["the decision point answered 500"]
    assert len(peer.requests) == 2


def test_the_timeout_covers_all_batches(client: Client) -> None:
    with Peer(dawdles) as peer:
        outcome = client.ask(Order(peer.url, MANY, batch=10, timeout=1))
    assert outcome.seconds < 6
    assert outcome.failures == ["no answer within 1 s"]
    assert 2 <= len(peer.requests) <= 4
    answered = [RIGHT[: count * 10] + [False] * (250 - count * 10) for count in range(1, 4)]
    assert outcome.allowed in answered


def test_only_an_evaluation_that_cannot_be_sent_is_denied(client: Client) -> None:
    bad = question("alice", context={"risk": {"score": NAN}})
    alice = question("alice")
    with Peer() as peer:
        outcome = client.ask(Order(peer.url, [alice, bad, alice]))
        assert outcome.allowed == [True, False, True]
        assert outcome.failures[0].startswith("the question cannot be sent as JSON: ")
        assert client.ask(Order(peer.url, [bad], alone=True)).allowed == [False]
        assert client.ask(Order(peer.url, [bad, bad])).allowed == [False, False]
    (request,) = peer.requests
    assert request.body["evaluations"] == [alice, alice]


GOOD = Order("https://pdp.example.com", [question("alice")])


@pytest.mark.parametrize(
    "order",
    [
        replace(GOOD, url=""),
        replace(GOOD, url="pdp.example.com"),
        replace(GOOD, url="/access"),
        replace(GOOD, url="ftp://pdp.example.com"),
        replace(GOOD, url="https://"),
        replace(GOOD, url="https://pdp.example.com:port"),
        replace(GOOD, url="https://someone:secret@pdp.example.com"),
        replace(GOOD, url="https://pdp.example.com?tenant=1"),
        replace(GOOD, url="https://pdp.example.com#there"),
        replace(GOOD, token=""),
        replace(GOOD, token="two parts"),
        replace(GOOD, token=f"{TOKEN}\n"),
        replace(GOOD, token=f"{TOKEN}\r\nX-Other: 1"),
        replace(GOOD, token="clé"),
        replace(GOOD, timeout=0),
        replace(GOOD, timeout=-1),
        replace(GOOD, batch=0),
        replace(GOOD, batch=1001),
    ],
)
def test_invalid_settings_are_refused_by_the_constructor(client: Client, order: Order) -> None:
    with pytest.raises(Refused) as refused:
        client.ask(order)
    if order.token:
        assert order.token not in str(refused.value)
