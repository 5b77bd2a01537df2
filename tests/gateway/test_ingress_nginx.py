"""The profile of ingress-nginx: an absolute address, whose host is ignored, through its own template."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.conftest import World
from tests.gateway.gateways import INGRESS, SECRET, Gateway
from tests.gateway.hostile import SUBJECT, corpus, faults
from tests.support.issuer import LiveIssuer

URL = "http://orders.example/v1/public"
GOOD = [
    ("X-Gateway-Secret", SECRET),
    ("X-Gateway-Service", "orders"),
    ("X-Original-URL", URL),
    ("X-Original-Method", "GET"),
    ("X-Sent-From", "nginx-ingress-controller"),
    ("X-Auth-Request-Redirect", "/v1/public"),
    ("X-Real-IP", "192.0.2.1"),
    ("X-Forwarded-For", "192.0.2.1"),
]


@pytest.fixture(scope="module")
def ingress(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The controller in front of the service `orders`."""
    authz = world.server.url.removeprefix("http://")
    directory = tmp_path_factory.mktemp("ingress")
    with Gateway(INGRESS, directory, authz=authz, upstream=world.upstream.address) as gateway:
        yield gateway


def test_the_verdict_and_the_caller_pass_through_ingress_nginx(
    world: World, ingress: Gateway, issuer: LiveIssuer
) -> None:
    bearer = f"Bearer {issuer.token(sub=SUBJECT, permissions=['catalog:read'])}"
    world.upstream.reached.clear()
    forged = {"X_Auth_Subject": "root", "X_Auth_Key_Id": "7", "X_Original_URL": "/v1/admin/users"}
    assert ingress.ask("GET", "/v1/orders/7?x=%2e", Authorization=bearer, **forged).status == 200
    (reached,) = world.upstream.reached
    assert (reached.method, reached.target) == ("GET", "/v1/orders/7?x=%2e")
    assert (reached.header("x-auth-subject"), reached.header("x-auth-key-id")) == ([SUBJECT], [])
    assert reached.header("x-gateway-secret") == reached.header("x-original-url") == []
    world.upstream.reached.clear()
    assert ingress.ask("GET", "/v1/near", Authorization=bearer, X_Forwarded_For="10.0.0.1").status == 200
    assert ingress.ask("HEAD", "/v1/orders/7", Authorization=bearer).status == 200
    assert ingress.ask("OPTIONS", "/v1/shared", Origin="https://app.example").status == 200
    answers = [
        ingress.ask("GET", "/v1/orders"),
        ingress.ask("DELETE", "/v1/orders/7", Authorization=bearer),
        ingress.ask("GET", "/v1/admin/users", Authorization=bearer),
        ingress.ask("GET", "/v1/orders/7", Authorization=bearer, X_Original_URI="/v1/orders/7"),
        ingress.ask("GET", "/v1/public%2F", Authorization=bearer),
    ]
    assert [answer.status for answer in answers] == [401, 403, 403, 403, 403]
    assert answers[0].headers["www-authenticate"].startswith('Bearer resource_metadata="https://authz.example/')
    assert len(world.upstream.reached) == 3


@pytest.mark.parametrize(
    "host", ["evil?", "evil#", "evil?/v1/public", "a@b", "orders.example:80:80", "evil%2F", "x,y", "[::1", "evil;"]
)
def test_a_host_header_cannot_shift_the_path(world: World, ingress: Gateway, issuer: LiveIssuer, host: str) -> None:
    world.upstream.reached.clear()
    token = issuer.token(permissions=["catalog:read"])
    for path in ("/v1/public", "/v1/admin/users"):
        head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        status = ingress.send(head.encode())[9:12]
        assert status in (b"400", b"403"), status
    assert not world.upstream.reached


def test_no_hostile_request_reaches_a_denied_resource_through_ingress_nginx(
    world: World, ingress: Gateway, issuer: LiveIssuer
) -> None:
    wrong: list[str] = []
    through = 0
    for hostile in corpus(issuer.token(sub=SUBJECT, permissions=["catalog:read"])):
        wrong += faults(ingress, world.upstream, hostile)
        through += len(world.upstream.reached)
    assert not wrong, "\n".join(wrong[:20])
    assert through > 50


def with_url(url: str) -> list[tuple[str, str]]:
    return [(name, url if name == "X-Original-URL" else value) for name, value in GOOD]


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        (GOOD, ""),
        (with_url("https://orders.example:8443/v1/public?x=http://y/z"), ""),
        (with_url("https://[2001:db8::1]:8443/v1/public"), ""),
        (with_url("https://unknown-host/v1/public"), ""),
        *(
            (with_url(url), "The URI is not scheme, host and path.")
            for url in (
                *("/v1/public", "//orders.example/v1/public", "orders.example/v1/public", "http:///v1/public", "http:"),
                *("ftp://orders.example/v1/public", "http://a@b/v1/public", "http://a?/v1/public", "http://a#/v1/public"),
                *("http://orders.example", "http://a b/v1/public", "http://a\\/v1/public", "HTTP://a/v1/public", ""),
            )
        ),
        (with_url("http://orders.example//v1/public"), "The path has an ambiguous spelling."),
        (with_url("http://orders.example/v1/x/../public"), "The path has an ambiguous spelling."),
        (with_url("http://orders.example/v1/public#x"), "The URI has a fragment."),
        ([*GOOD, ("X-Original-URL", URL)], "The header `X-Original-Url` is sent more than once."),
        ([*GOOD, ("X-Real-IP", "10.0.0.1")], "The header `X-Real-Ip` is sent more than once."),
        ([*GOOD, ("X_Real_IP", "10.0.0.1")], "The name of a header is similar to `X-Real-Ip`."),
        ([*GOOD, ("X_Original_URL", URL)], "The name of a header is similar to `X-Original-Url`."),
        ([*GOOD, ("X-Original-URI", "/v1/public")], "ingress-nginx does not set the header `X-Original-Uri`."),
        ([*GOOD, ("X-Forwarded-Uri", "/v1/public")], "ingress-nginx does not set the header `X-Forwarded-Uri`."),
        ([*GOOD, ("X-Forwarded-Prefix", "/x")], "ingress-nginx does not set the header `X-Forwarded-Prefix`."),
        ([*GOOD, ("X-HTTP-Method-Override", "PUT")], "ingress-nginx does not set the header `X-Http-Method-Override`"),
        ([each for each in GOOD if each[0] != "X-Original-URL"], "ingress-nginx must send the header `X-Original-Url`"),
        (GOOD[1:], "The gateway is not authenticated."),
    ],
)  # fmt: skip
def test_only_the_headers_of_the_profile_state_the_request(
    world: World, headers: list[tuple[str, str]], detail: str
) -> None:
    with world.server.client() as client:
        answer = client.get("/gateway/ingress-nginx", headers=headers)
        assert client.get("/gateway/nginx", headers=headers).status_code == 403
    assert (answer.json()["detail"] if answer.content else "").startswith(detail)
    assert answer.status_code == (403 if detail else 200)


def test_the_host_of_the_address_selects_no_service(world: World) -> None:
    headers = [each for each in with_url("http://orders/v1/public") if each[0] != "X-Gateway-Service"]
    with world.server.client() as client:
        assert client.get("/gateway/ingress-nginx", headers=headers).status_code == 401
