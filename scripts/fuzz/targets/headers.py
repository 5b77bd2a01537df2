"""Request lines, header fields and bodies, at every endpoint and at the doors of gateways.

Who may come in is also told by an oracle: nothing but a public route answers 2xx unless the request has one
Authorization header with a token that is good as it stands.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from app.assembly import route_table
from app.console.config import is_page
from scripts.fuzz.application import API_KEY, GATEWAY_SECRET, KEY_ID, SERVICE, Answer, Question, application
from scripts.fuzz.mutations import mutated
from scripts.fuzz.requests import read_request, write_request
from scripts.fuzz.responses import check_answer
from scripts.fuzz.signing import token
from scripts.fuzz.target import Check, Target, Violation

READER = token("catalog:read")
# Everything but what changes the policy or the keys of others, on which later cases depend.
OPERATOR = token(
    *("catalog:read", "catalog:write", "holdings:read", "holdings:write", "policies:read", "decisions:read"),
    *("audit:read", "keys:read", "decisions:evaluate", "metrics:read", "tokens:introspect"),
    sub="user_operator",
)
GOOD = {READER.encode(), OPERATOR.encode(), API_KEY.encode()}
_PUBLIC = ("/healthz", "/readyz", "/openapi.json", "/docs", "/docs/style.css")
_PUBLIC_FOLDERS = ("/.well-known/", "/console")
_JSON = "Content-Type: application/json"
_BODIES = (
    {"name": "a", "scopes": ["catalog:read"]},
    {"name": "N", "slug": "n", "city": "c", "league_id": 1, "season": 2026},
    {"policy": {"rows.csv": "p, anyone, /x, GET, allow\n# end\n"}, "revision": "0" * 16},
)
WORDS = (
    *(b"Authorization", b"Bearer ", b"bearer", b"Basic ", b"X-Request-ID", b"Content-Type", b"Content-Length", b"Host"),
    *(
        b"X-Forwarded-For",
        b"X-Forwarded-Uri",
        b"X-Forwarded-Method",
        b"X-Original-URI",
        b"X-Original-Method",
        b"Origin",
    ),
    *(b"X_Forwarded_For", b"x.original.uri", b"X-Gateway-Service", b"X-Gateway-Secret", b"traceparent", b"Accept"),
    *(b"Cookie: authz=a; ", b"If-Match", b"Range: bytes=0-1", b"Expect: 100-continue", b"Upgrade: websocket"),
    *(b"Access-Control-Request-Method", b"application/json; charset=", b"utf-16", b"chunked", b"gzip", b"\r\n", b": "),
    *(
        b"%2e%2e",
        b"%2f",
        b"%00",
        b"%",
        b"..",
        b"//",
        b";",
        b"?",
        b"#",
        b"*",
        b"&",
        b"=",
        b"cursor=",
        b"limit=",
        b"GET ",
        b"OPTIONS ",
    ),
    *(b"POST ", b"HEAD ", b"::1", b"10.0.0.1", b"\x0c", b"{", b"}", b'"', b"null", READER.encode(), API_KEY.encode()),
)


def _examples() -> Iterator[bytes]:
    credentials = (f"Authorization: Bearer {READER}", f"Authorization: Bearer {API_KEY}")
    operator = f"Authorization: Bearer {OPERATOR}"
    table = route_table()
    for number, template in enumerate(table.templates):
        path = "/".join("1" if part.startswith("{") else part for part in template.split("/"))
        for method in table.methods(template):
            body = json.dumps(_BODIES[number % len(_BODIES)]).encode() if method in ("POST", "PUT", "PATCH") else b""
            yield write_request(method, path, operator, *([_JSON] if body else []), body=body)
        yield write_request("GET", path + "/?limit=2&cursor=abc", credentials[number % 2], "X-Request-ID: a.b-1")
    yield write_request("GET", "/api/v1/teams/")
    yield write_request(
        "OPTIONS", "/api/v1/teams/", "Origin: https://app.griddy.example", "Access-Control-Request-Method: GET"
    )
    form = b"token=" + READER.encode()
    yield write_request(
        "POST", "/oauth/introspect", operator, "Content-Type: application/x-www-form-urlencoded", body=form
    )
    yield write_request("GET", f"/api/v1/api-keys/{KEY_ID}/", operator)
    proof, service = f"X-Gateway-Secret: {GATEWAY_SECRET}", f"X-Gateway-Service: {SERVICE}"
    for credential in (*credentials, "Accept: */*"):
        nginx = ("X-Original-Method: GET", "X-Original-URI: /v1/orders/7?x=1", "X-Original-IP: 192.0.2.7")
        yield write_request("GET", "/gateway/nginx", proof, service, *nginx, credential)
        forwarded = (
            "X-Forwarded-Method: DELETE",
            "X-Forwarded-Uri: /v1/orders/7",
            "X-Forwarded-For: 192.0.2.7, 10.0.0.1",
        )
        yield write_request("GET", "/gateway/traefik", proof, service, *forwarded, credential)
        yield write_request("GET", "/gateway/caddy", proof, service, *forwarded, credential)
        ingress = ("X-Original-Method: GET", "X-Original-URL: https://o.example:8443/v1/orders", "X-Real-IP: ::1")
        yield write_request("GET", "/gateway/ingress-nginx", proof, service, *ingress, credential)
        yield write_request(
            "POST", "/gateway/envoy/v1/orders/7", proof, service, "X-Envoy-External-Address: 192.0.2.7", credential
        )
        yield write_request("GET", "/gateway/envoy/api/v1/teams/7", proof, credential)


EXAMPLES = tuple(_examples())


def has_good_credentials(question: Question) -> bool:
    """Whether the one Authorization header has a token that is good, as it stands."""
    values = [value for name, value in question.headers if name == b"authorization"]
    if len(values) != 1 or values[0][:6].lower() != b"bearer" or values[0][6:7] != b" ":
        return False
    return values[0][6:].strip(b" ") in GOOD


def check_access(question: Question, answer: Answer) -> None:
    """Raise Violation where a caller without good credentials came in."""
    if not 200 <= answer.status < 300 or has_good_credentials(question) or question.method == "OPTIONS":
        return
    path = question.target.partition(b"?")[0].decode("latin-1")
    if path.startswith("/gateway/"):
        asked_service = any(name == b"x-gateway-service" for name, _ in question.headers)
        if not asked_service and answer.values(b"x-auth-method") == [b"anonymous"]:
            return  # a public route of the application itself
    elif path.rstrip("/") in _PUBLIC or path.startswith(_PUBLIC_FOLDERS):
        return
    raise Violation(f"{answer.status} without good credentials: {question.method} {path}")


@contextmanager
def _opened() -> Iterator[Check]:
    with application() as app:

        def check(data: bytes) -> None:
            question = read_request(data)
            if question is None:
                return
            answer = app.ask(question)
            path = question.target.partition(b"?")[0].decode("latin-1")
            check_answer(answer, method=question.method, is_page=is_page(path) or answer.is_html)
            check_access(question, answer)

        yield check


def _inputs(seeds: Sequence[bytes]) -> SearchStrategy[bytes]:
    return mutated([*EXAMPLES, *seeds], WORDS) | _credentials()


def _credentials() -> SearchStrategy[bytes]:
    """Requests that are good but for how their credentials are written."""
    piece = st.sampled_from(
        [*sorted(GOOD), b"Bearer", b"bearer", b"BEARER", b"Basic", b" ", b"  ", b"\t", b",", b"", b"grd_"]
    )
    value = st.lists(piece | st.binary(max_size=4), max_size=6).map(b"".join) | st.sampled_from(
        [READER.encode(), API_KEY.encode()]
    ).flatmap(lambda good: mutated([b"Bearer " + good], WORDS))
    line = value.map(lambda text: b"Authorization: " + text.replace(b"\r", b"").replace(b"\n", b"") + b"\r\n")
    head = b"GET /gateway/envoy/v1/orders/7 HTTP/1.1\r\nX-Gateway-Secret: " + GATEWAY_SECRET.encode()
    head += b"\r\nX-Gateway-Service: " + SERVICE.encode() + b"\r\n"
    return st.lists(line, min_size=1, max_size=2).map(lambda lines: head + b"".join(lines) + b"\r\n")


TARGET = Target("headers", EXAMPLES, _inputs, _opened)
