"""Redirect URIs: which ones an app may have, which ones a request may name, and where an answer then goes.

An input is a registered redirect, a line break, and the redirect of a request. Two other parsers of URLs must read the
same host in whatever is accepted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import httpx
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from app.console.consent_headers import form_target
from app.oauth.authorization import answer_to
from app.oauth.client_document import ClientDocumentRefused, address_of_document
from app.oauth.redirects import MAX_CHARACTERS, host_of, redirect_fault, redirect_matches, web_address
from scripts.fuzz.mutations import mutated
from scripts.fuzz.target import Check, Target, Violation

_MOST = 3 * MAX_CHARACTERS
_REDIRECTS = (
    b"https://app.example/cb",
    b"https://app.example:8443/a/b;c?x=1&y=%2F",
    b"https://192.0.2.7/cb",
    b"https://[2001:db8::1]/cb",
    b"http://127.0.0.1:53211/cb?a=b",
    b"http://[::1]/cb",
    b"http://localhost/cb",
    b"com.example.app:/cb",
    b"com.example.app://host/cb",
)
EXAMPLES = tuple(one + b"\n" + other for one in _REDIRECTS for other in (one, b"https://app.example/cb"))
_WORDS = (
    *(
        b"https://",
        b"http://",
        b"//",
        b"/",
        b"\\",
        b"@",
        b"@evil.example",
        b":",
        b":0",
        b":443",
        b":80",
        b":65536",
        b"?",
    ),
    *(
        b"#",
        b"%",
        b"%2e%2e",
        b"%00",
        b"%0d%0a",
        b"..",
        b"/../",
        b"[",
        b"]",
        b"[::1]",
        b"127.1",
        b"0x7f.1",
        b"2130706433",
    ),
    *(b"localhost.", b".localhost", b"xn--", b";", b",", b" ", b"'", b'"', b"*", b"\t", b"javascript:", b"data:"),
)
_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|localhost|\[::1\]))(?::[1-9][0-9]{0,4})?((?:[/?].*)?)", re.DOTALL)
# A source of a content security policy: nothing in it can end the directive.
_SOURCE = re.compile(r"[a-z][a-z0-9+.-]*:(//[a-z0-9.-]+(:[0-9]{1,5})?)?")


@contextmanager
def _opened() -> Iterator[Check]:
    yield check


def check(data: bytes) -> None:
    """Register one redirect, and ask for another."""
    registered, _, requested = data.decode("utf-8", "replace").partition("\n")
    for uri in (registered, requested):
        fault = redirect_fault(uri, private_schemes=True)
        if fault is None:
            _check_accepted(uri)
        elif not 0 < len(fault) <= 300 or not fault.isascii():
            raise Violation(f"no message, or a long one: {fault[:300]!r}")
        _check_document_id(uri)
    if redirect_fault(registered, private_schemes=True) is None:
        matches = redirect_matches([registered], requested)
        if matches is not _expected(registered, requested):
            raise Violation(f"it matches: {matches}")
        if matches:
            _check_answer(requested)


def _check_accepted(uri: str) -> None:
    """Check that nothing reads another address in this URI."""
    if len(uri) > MAX_CHARACTERS or not uri.isascii() or not uri.isprintable() or " " in uri or "#" in uri:
        raise Violation("accepted, with characters that no redirect has")
    plain, other = urlsplit(uri), httpx.URL(uri)
    if "@" in plain.netloc or other.userinfo or plain.fragment or other.fragment:
        raise Violation("accepted with a user or a fragment")
    if plain.scheme not in ("https", "http"):
        if "." not in plain.scheme:
            raise Violation(f"accepted with the scheme {plain.scheme}")
        return
    host = (plain.hostname or "").strip("[]")
    if not host or other.raw_host.decode().strip("[]") != host:
        raise Violation(f"the host is {host!r} or {other.raw_host!r}")
    if plain.scheme == "http" and host not in ("127.0.0.1", "::1", "localhost"):
        raise Violation(f"accepted without TLS at {host!r}")
    if host_of(uri) not in ("", plain.netloc.removesuffix(":443")):
        raise Violation(f"its host is {host_of(uri)!r}")


def _check_document_id(uri: str) -> None:
    try:
        address = address_of_document(uri)
    except ClientDocumentRefused:
        return
    plain = urlsplit(uri)
    target = plain.path + (f"?{plain.query}" if "?" in uri else "")
    if (address.host.strip("[]"), address.port, address.target) != (plain.hostname, plain.port or 443, target):
        raise Violation(f"a document at {address}")


def _expected(registered: str, requested: str) -> bool:
    """Whether a request may name this redirect, by a simpler rule."""
    if registered == requested:
        return True
    one, other = _LOOPBACK.fullmatch(registered), _LOOPBACK.fullmatch(requested)
    return bool(one and other and one.groups() == other.groups() and web_address(requested))


def _check_answer(redirect_uri: str) -> None:
    """Check where an answer goes."""
    address = answer_to(redirect_uri, "https://api.example", 'a&code=b\r\n"', code="c")
    before, after = urlsplit(redirect_uri), urlsplit(address)
    if (before.scheme, before.netloc, before.path) != (after.scheme, after.netloc, after.path):
        raise Violation(f"the answer goes to {address!r}")
    found = parse_qs(after.query)
    if found["code"][-1] != "c" or found["state"][-1] != 'a&code=b\r\n"' or found["iss"][-1] != "https://api.example":
        raise Violation(f"the answer is {found}")
    if not address.isascii() or not address.isprintable():
        raise Violation(f"no header can have {address!r}")
    if not _SOURCE.fullmatch(form_target(redirect_uri)):
        raise Violation(f"the policy of the page would have {form_target(redirect_uri)!r}")


def _inputs(seeds: Sequence[bytes]) -> SearchStrategy[bytes]:
    alone = mutated(_REDIRECTS, _WORDS, most=_MOST)
    return st.tuples(st.sampled_from(_REDIRECTS) | alone, alone).map(b"\n".join) | mutated([*EXAMPLES, *seeds], _WORDS)


TARGET = Target("redirects", EXAMPLES, _inputs, _opened)
