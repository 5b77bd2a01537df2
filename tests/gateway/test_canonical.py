"""Canonical paths: plain paths pass, ambiguous ones are refused."""

from __future__ import annotations

import itertools
import random
import re
from urllib.parse import quote, unquote

import pytest

from app.gateway.canonical import MAX_PATH_BYTES, path_fault


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/healthz",
        "/api/v1/teams",
        "/api/v1/teams/",
        "/api/v1/teams/7",
        "/api/v1/video-assets/7/",
        "/a.b/c..d/...",
        "/@me/a:b/c,d/e=f/(g)/h!i/j*k/l+m/n&o/$p/'q'/r~s_t",
        "/search/" + quote("São Paulo", safe=""),
        "/search/%22quoted%22",
        "/%E2%82%AC",
        "/a%20b/c%C2%A0d/..%20../",
        "/%D9%85%DB%8C%E2%80%8C%D8%AE%D9%88",  # a joiner within a word, as Persian has it
    ],
)
def test_a_plain_path_is_accepted(path: str) -> None:
    assert path_fault(path.encode()) is None


def test_a_path_without_encoding_is_plain_if_its_segments_are() -> None:
    segment = re.compile(rb"[A-Za-z0-9._~!$&'()*+,=:@-]+")

    def is_plain(raw: bytes) -> bool:
        first, *segments = raw.split(b"/")
        if first or not segments or (raw.endswith(b"//")):
            return False
        inner = segments if segments[-1] else segments[:-1]
        return all(segment.fullmatch(each) and each not in (b".", b"..") for each in inner)

    paths = [bytes(found) for length in range(7) for found in itertools.product(b"/.a-\n", repeat=length)]
    for code in range(256):
        byte = bytes([code])
        paths += [byte, b"/" + byte, b"/a" + byte + b"b", byte + b"/a", b"/a/" + byte, b"/a" + byte]
    for raw in paths:
        if b"%" not in raw:
            assert (path_fault(raw) is None) == is_plain(raw), raw


AMBIGUOUS = {
    "empty": "",
    "no slash": "api",
    "double slash": "/api//v1",
    "leading double slash": "//api",
    "trailing double slash": "/api//",
    "dot": "/api/./v1",
    "dot at the end": "/api/.",
    "dot dot": "/api/../v1",
    "dot dot at the end": "/api/..",
    "encoded dot": "/api/%2e/v1",
    "encoded dot dot": "/api/%2e%2e/v1",
    "half encoded dot dot": "/api/.%2E/v1",
    "encoded slash": "/api%2Fv1",
    "encoded slash in lower case": "/api%2fv1",
    "encoded backslash": "/api%5Cv1",
    "backslash": "/api\\v1",
    "double encoding": "/api/%252e%252e/v1",
    "encoded per cent": "/api/%25",
    "semicolon": "/api;jsessionid=1/v1",
    "encoded semicolon": "/api%3Bx",
    "encoded NUL": "/api/%00",
    "NUL": "/api/\x00",
    "encoded line feed": "/api/%0a",
    "encoded tab": "/api/%09",
    "encoded delete": "/api/%7F",
    "C1 control": "/api/v%C2%851",
    "space": "/api/v 1",
    "encoded space": "/api/v%201x\n",
    "trailing line feed": "/api/v1\n",
    "encoded question mark": "/api%3Fx",
    "encoded hash": "/api%23x",
    "hash": "/api#x",
    "question mark": "/api?x",
    "encoded letter": "/%61pi",
    "encoded digit": "/api/%37",
    "encoded tilde": "/%7Euser",
    "lone per cent": "/api/%",
    "short escape": "/api/%2",
    "bad escape": "/api/%zz",
    "bad UTF-8": "/api/%ff",
    "overlong UTF-8 slash": "/api/%c0%af",
    "surrogate": "/api/%ed%a0%80",
    "raw UTF-8": "/api/é",
    "too long": "/" + "a" * MAX_PATH_BYTES,
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_an_ambiguous_path_is_refused(name: str) -> None:
    assert path_fault(AMBIGUOUS[name].encode()) is not None


INVISIBLE = "A segment of the path begins or ends with a blank or an invisible character."
# White space, separators and format characters; a service may drop any of these at the end of a name.
BLANKS = (
    " \u00a0\u1680\u2000\u2003\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
    "\u00ad\u0600\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202e\u2060\u2064\u2066\u2069\ufeff\ufff9"
    "\U000110bd\U0001d173\U000e0001\U000e0020"
)


@pytest.mark.parametrize("blank", BLANKS)
def test_a_segment_neither_begins_nor_ends_with_an_invisible_character(blank: str) -> None:
    encoded = quote(blank)
    for path in (
        "/v1/orders/export{}", "/v1/orders/export{}/", "/v1/orders/{}export", "/v1/orders{}/export", "/v1/{}/export",
        "/{}", "/{}v1/orders", "/v1/..{}/export", "/v1/{}..", "/v1/.{}",
        "/v1/export{}{}", "/%C3%A9{}", "/v1/export%20{}",
    ):  # fmt: skip
        assert path_fault(path.replace("{}", encoded).encode()) == INVISIBLE, path
        assert path_fault(path.replace("{}", encoded.lower()).encode()) == INVISIBLE, path
    assert path_fault(f"/v1/ex{encoded}port/{quote('é')}{encoded}x".encode()) is None


def test_each_character_may_be_encoded_or_not() -> None:
    for code in range(0x100):
        character = chr(code)
        expected = None
        if character in " \xa0\xad":
            expected = INVISIBLE
        if 0x80 <= code < 0xA0:
            expected = "The path has a control character."
        elif code < 0x20 or code == 0x7F or character in "/\\%;.?#-_~" or (character.isascii() and character.isalnum()):
            expected = "The path encodes a character that must not be encoded."
        raw = "".join(f"%{byte:02X}" for byte in character.encode()).encode()
        for spelling in (raw, raw.lower()):
            assert path_fault(b"/a/" + spelling) == expected, hex(code)
            assert path_fault(b"/a" + spelling + b"b/") == (None if expected == INVISIBLE else expected), hex(code)


@pytest.mark.parametrize("encoded", ["", "%C3%A9"])
def test_the_length_of_a_path_is_bounded(encoded: str) -> None:
    longest = f"/{encoded}".ljust(4096, "a").encode()
    assert path_fault(longest) is None
    assert path_fault(longest + b"a") == "The path is longer than 4096 bytes."


def test_an_accepted_path_has_one_decoding() -> None:
    """Seeded noise: an accepted path has the same segments before and after decoding, also when encoded again."""
    seeded = random.Random(20)
    plain = ["a", "7", "/", "~", "%C3%A9", "%22"]
    pieces = [*plain, "//", ".", "..", "%2e", "%2F", "%41", ";", "\\", "%00", "%", "é", "%25"]
    accepted = 0
    for _ in range(20_000):
        path = "/" + "".join(seeded.choices(pieces, k=seeded.randint(0, 6)))
        if path_fault(path.encode()) is not None:
            continue
        accepted += 1
        decoded = unquote(path, errors="strict")
        assert decoded.count("/") == path.count("/")
        assert not {".", ".."} & set(decoded.split("/"))
        assert unquote(decoded) == decoded
        assert "" not in decoded.split("/")[1:-1]
    assert accepted > 500
