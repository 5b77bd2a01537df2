"""Random responses have the same outcome in each client of the SDKs: a result, or an error of the SDK."""

from __future__ import annotations

import json
import random
from typing import Any

from tests.clients.failing_server import FailingServer, Step
from tests.clients.sdk_callers import Call, NodeCaller, call_async, call_sync

STATUSES = [200, 200, 200, 200, 201, 204, 206, 302, 400, 401, 403, 404, 409, 418, 422, 429, 500, 502, 503, 599]
HEADERS = {
    "Retry-After": ["0", "x", "-1", "1e9", "Wed, 21 Oct 2015 07:28:00 GMT", "0.0", "é"],
    "WWW-Authenticate": [
        'Bearer error="invalid_token"',
        'Bearer error="insufficient_scope", scope="a b"',
        "Bearer",
        "é",
    ],
    "Link": ["<?c=1>; rel=next", "<x", '<?c>; rel="next"; rel=x', "é"],
    "Content-Type": ["text/html", "application/json; charset=utf-16", "x"],
    "Content-Encoding": ["gzip", "identity", "zzz"],
    "Location": ["/x", "http://127.0.0.1:1/"],
    "X-Request-ID": ["r2", "", "é"],
    "Content-Length": ["0", "5", "x", "-1", "9" * 20],
}
VALUES: list[Any] = [None, 0, 1.5, "", [], {}, "x", [[]], [{}], {"a": 1}, True, "?c", "//e?c=2", [{"id": 1}], "\x00é"]
FIELDS = ["results", "next", "previous", "detail", "errors", "error_description", "id"]


def body(source: random.Random) -> bytes:
    """JSON, damaged JSON, or neither."""
    value = source.choice(VALUES)
    if source.random() < 0.6:
        value = {name: source.choice(VALUES) for name in source.sample(FIELDS, source.randrange(7))}
    written = bytearray(json.dumps(value).encode())
    if source.random() < 0.3:
        for _ in range(source.randrange(1, 4)):
            written[source.randrange(len(written))] = source.randrange(256)
    return bytes(written)


def step(source: random.Random) -> Step:
    """A response, or the end of the connection."""
    if source.random() < 0.03:
        return None
    headers = {
        name: source.choice(values)
        for name, values in HEADERS.items()
        if source.random() < (0.04 if name == "Content-Length" else 0.25)
    }
    return source.choice(STATUSES), headers, body(source)


def test_random_responses_have_the_same_outcome(failing: FailingServer, node_griddy: NodeCaller) -> None:
    source = random.Random(20261129)
    for _ in range(60):
        steps = [step(source) for _ in range(source.randrange(1, 4))]
        call = Call(
            failing.url,
            method=source.choice(["GET", "POST", "PUT", "DELETE", "HEAD"]),
            do=source.choice(["request", "list", "retrieve"]),
            resource=source.choice(["teams", "api_keys"]),
            tokens=source.choice(["a", "ab", "abcd"]),
            retries=source.randrange(3),
            first_wait=0.001,
            longest_wait=0.1,
        )
        found = []
        for caller in (call_sync, call_async, node_griddy):
            failing.follow(steps)
            result = caller(call)
            assert not result.refused, (call, steps)
            found.append((result.value, result.error, result.fields, result.tokens, list(failing.requests)))
        assert found[0] == found[1] == found[2], (call, steps)
