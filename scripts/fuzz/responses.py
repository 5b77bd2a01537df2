"""What every answer of the application must be, whatever was asked: the shapes of the wire contract."""

from __future__ import annotations

import json
import re

from scripts.fuzz.application import Answer
from scripts.fuzz.target import Violation

# The key of the examples in the OpenAPI document is none.
_LEAK = re.compile(
    rb"Traceback \(most|File \"[^\"]+\.py\"|grd_(?:live|test)_(?!(?:0123456789abcdef){3})[0-9a-f]{48}"
    rb"|eyJ[\w-]{20,}\.[\w-]{20,}\.[\w-]{20,}"
)
_NEW_KEY = re.compile(rb'"plaintext": ?"grd_(?:live|test)_[0-9a-f]{48}"')  # of one that was just issued
_CHALLENGE = re.compile(rb'Bearer(?: [a-z_]+="[^"\\]*"(?:, [a-z_]+="[^"\\]*")*)?')
_WITHOUT_BODY = (204, 304)


def check_answer(answer: Answer, *, method: str = "GET", is_page: bool = False) -> None:
    """Raise Violation for an answer that breaks the contract. Pages for people have no JSON."""
    if answer.status >= 500:
        raise Violation(f"status {answer.status}: {answer.body[:300]!r}")
    leak = _LEAK.search(answer.body)
    if leak and not (answer.status == 201 and _NEW_KEY.search(answer.body)):
        raise Violation(f"the answer shows {leak[0][:60]!r}")
    for name, value in answer.headers:
        if re.search(rb"[\r\n\0]", name + value):
            raise Violation(f"a header of the answer has a line break: {name!r}: {value!r}")
    lengths = answer.values(b"content-length")
    if len(lengths) > 1 or (lengths and method != "HEAD" and int(lengths[0]) != len(answer.body)):
        raise Violation(f"content-length {lengths} of a body of {len(answer.body)} bytes")
    if answer.status in _WITHOUT_BODY and answer.body:  # that of HEAD the server leaves out
        raise Violation(f"answered with {answer.status} and a body")
    if is_page or answer.status < 400 or method == "HEAD" or _is_refused_preflight(method, answer):
        return
    _check_error(answer)


def _is_refused_preflight(method: str, answer: Answer) -> bool:
    """Whether it is Litestar's own answer to a browser, which reads the status of a preflight and no body."""
    return method == "OPTIONS" and answer.status == 400 and answer.body.startswith(b"Disallowed CORS ")


def _check_error(answer: Answer) -> None:
    try:
        body = json.loads(answer.body)
    except ValueError:
        raise Violation(f"status {answer.status} without JSON: {answer.body[:300]!r}") from None
    if not isinstance(body, dict) or not isinstance(body.get("detail"), str) or not body["detail"]:
        raise Violation(f"status {answer.status} without `detail`: {body!r}")
    allowed = {"detail", "errors"} if answer.status == 400 else {"detail"}
    if not body.keys() <= allowed:
        raise Violation(f"status {answer.status} with the keys {sorted(body)}")
    challenges = answer.values(b"www-authenticate")
    if answer.status == 401 and (len(challenges) != 1 or not _CHALLENGE.fullmatch(challenges[0])):
        raise Violation(f"status 401 with the challenges {challenges}")
