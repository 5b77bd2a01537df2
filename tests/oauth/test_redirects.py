"""Redirect URIs: which are accepted, and that a request can name no other one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.oauth.redirects import (
    WebAddress,
    common_host,
    host_of,
    redirect_fault,
    redirect_matches,
    web_address,
)

HTTPS = "https://app.example/callback"
ACCEPTED = [
    HTTPS,
    "https://app.example",
    "https://app.example/",
    "https://app.example:8443/a/b;c?x=1&y=%2F",
    "https://xn--bcher-kva.example/cb",
    "https://192.0.2.7/cb",
    "https://[2001:db8::1]:8443/cb",
    "https://localhost/cb",
    "http://127.0.0.1/cb",
    "http://127.0.0.1:53211/cb",
    "http://[::1]/cb",
    "http://localhost:3000",
    "https://app.example:65535/cb",
    "https://app.example:1/cb",
    "https://" + "a" * 63 + ".example/cb",
    "https://" + "a." * 123 + "example/",
    "https://app.example/" + "a" * 980,
]
PRIVATE = [
    "com.example.app:/cb",
    "com.example.app://cb",
    "com.example.app://cb/a",
    "com.example.app:///cb",
    "com.example.my-app:/a?b=c",
    "com.1example.app:/",
]
REFUSED = [
    "",
    "/callback",
    "//app.example/cb",
    "app.example/cb",
    "http://app.example/cb",
    "http://127.0.0.2/cb",
    "http://127.1/cb",
    "http://0x7f.1/cb",
    "http://2130706433/cb",
    "http://[::ffff:127.0.0.1]/cb",
    "http://[0:0:0:0:0:0:0:1]/cb",
    "http://localhost.example/cb",
    "http://localhost./cb",
    "HTTPS://app.example/cb",
    "https://APP.example/cb",
    "https://app.example./cb",
    "https://bücher.example/cb",
    "https://*.example/cb",
    "https:///cb",
    "https:app.example/cb",
    "https:/app.example/cb",
    "https://app.example:/cb",
    "https://app.example:0/cb",
    "https://app.example:080/cb",
    "https://app.example:65536/cb",
    "https://app.example:1e3/cb",
    "https://user@app.example/cb",
    "https://user:password@app.example/cb",
    "https://app.example@evil.example/cb",
    "https://app.example\\@evil.example/cb",
    "https://app.example/cb#",
    "https://app.example/cb#part",
    "https://app.example/a/../cb",
    "https://app.example/a/%2E%2e/cb",
    "https://app.example/./cb",
    "https://app.example/..",
    "https://app.example/c b",
    "https://app.example/cb\n",
    "https://app.example/cb\x00",
    "https://app.example/cb\u202e",
    "https://app.example/%zz",
    "https://app.example/%2",
    "https://1.2.3/cb",
    "https://256.1.1.1/cb",
    "https://[::1/cb",
    "https://[v1.x]/cb",
    "https://[2001:0db8::1]/cb",
    "https://[2001:db8:0:0:0:0:0:1]/cb",
    "https://[2001:db8::0.0.0.1]/cb",
    "https://" + "a" * 64 + ".example/cb",
    "https://a" + "a." * 123 + "example/",
    "https://app.example/" + "a" * 981,
    "javascript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "vbscript:x",
    "about:blank",
    "blob:https://app.example/x",
    "myapp://cb",
    "myapp:/cb",
    "ws://app.example/cb",
    "ftp://app.example/cb",
    "urn:ietf:wg:oauth:2.0:oob",
    "https127.0.0.1://app.example/cb",
    "a.example.app:/cb",
    "com.example.app:cb",
    "com.example.app:",
    "com.example.app://user@host/cb",
    "com.example.app://host:80/cb",
    "com.example.app://[host/cb",
    "*",
    "https:*",
]


@pytest.mark.parametrize("uri", ACCEPTED)
def test_accepted(uri: str) -> None:
    assert redirect_fault(uri, private_schemes=False) is None
    assert redirect_matches([uri], uri)


@pytest.mark.parametrize("uri", PRIVATE)
def test_a_private_scheme_is_for_administrators(uri: str) -> None:
    assert redirect_fault(uri, private_schemes=True) is None
    assert redirect_fault(uri, private_schemes=False) == "must begin with https://, or with http:// and a loopback host"
    assert redirect_matches([uri], uri)


@pytest.mark.parametrize("uri", REFUSED)
def test_refused(uri: str) -> None:
    assert redirect_fault(uri, private_schemes=True)
    assert redirect_fault(uri, private_schemes=False)
    assert not redirect_matches(ACCEPTED + PRIVATE, uri)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("https://app.example/" + "a" * 1_000 + "#", "must have at most 1,000 characters"),
        ("https://app.example/cb#part", "must not have a fragment"),
        ("#", "must not have a fragment"),
        ("/callback", "must be an absolute URI in ASCII"),
        ("https://app.example/%zz", "must have two hexadecimal digits after each %"),
        ("https://app.example/a/../%2", "must have two hexadecimal digits after each %"),
        ("https://app.example/a/../cb", "must not have `.` or `..` as a part of its path"),
        ("myapp:/a/../cb", "must not have `.` or `..` as a part of its path"),
        ("myapp:/cb", "or with a scheme that is a reversed domain name"),
        ("com.example.app:cb", "must have a path after its scheme"),
        ("https://app.example:0/cb", "must have a host in lower case and ASCII"),
        ("http://app.example/cb", "must begin with https://; http:// is for 127.0.0.1, [::1], localhost alone"),
    ],
)
def test_the_reason_of_a_refusal(uri: str, message: str) -> None:
    assert message in (redirect_fault(uri, private_schemes=True) or "")


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("https://app.example", WebAddress("https", "app.example", None, "")),
        ("http://app.example:80?a", WebAddress("http", "app.example", 80, "?a")),
        ("https://[::1]:8443/a?b", WebAddress("https", "[::1]", 8443, "/a?b")),
        ("com.example.app://host/cb", None),
        ("ftp://app.example/", None),
        ("https:app.example", None),
        ("https://app.example/#", None),
    ],
)
def test_the_parts_of_an_address(uri: str, address: WebAddress | None) -> None:
    assert web_address(uri) == address


VARIANTS = [
    "https://app.example/callback/",
    "https://app.example/callback?",
    "https://app.example/callback?x=1",
    "https://app.example/callback#",
    "https://app.example/Callback",
    "https://app.example/callbac",
    "https://app.example/%63allback",
    "https://app.example//callback",
    "https://app.example:443/callback",
    "https://app.example:8443/callback",
    "https://app.example./callback",
    "https://APP.example/callback",
    "HTTPS://app.example/callback",
    "http://app.example/callback",
    "https://www.app.example/callback",
    "https://app.example.evil.example/callback",
    "https://evil.example/https://app.example/callback",
    "https://app.example@evil.example/callback",
    "https://evil.example#@app.example/callback",
    "https://app.example/callback/../other",
    " https://app.example/callback",
    "https://app.example/callback ",
    "https://app.example/callback\t",
    "https://app.example/callback%00",
    "https://app.example\u3002evil/callback",
    "",
]


@pytest.mark.parametrize("requested", VARIANTS)
def test_https_is_equal_byte_for_byte(requested: str) -> None:
    assert not redirect_matches([HTTPS], requested)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_a_loopback_redirect_matches_on_any_port(host: str) -> None:
    for registered in (f"http://{host}/cb?a=b", f"http://{host}:1234/cb?a=b"):
        for port in ("", ":1", ":1234", ":65535"):
            assert redirect_matches([registered], f"http://{host}{port}/cb?a=b")


LOOPBACK_VARIANTS = [
    "http://127.0.0.1:99/cb/",
    "http://127.0.0.1:99/",
    "http://127.0.0.1:99",
    "http://127.0.0.1:99/cb?x",
    "http://127.0.0.1:99/cb#x",
    "http://127.0.0.1:99/CB",
    "http://127.0.0.1:99/a/../cb",
    "http://127.0.0.1:0/cb",
    "http://127.0.0.1:65536/cb",
    "http://127.0.0.1:/cb",
    "http://127.0.0.1:+99/cb",
    "http://127.0.0.1:\u0661/cb",
    "http://127.0.0.1:99:99/cb",
    "http://127.0.0.1:99@evil.example/cb",
    "http://localhost:99/cb",
    "http://[::1]:99/cb",
    "http://127.0.0.2:99/cb",
    "http://127.1:99/cb",
    "http://user@127.0.0.1:99/cb",
    "https://127.0.0.1:99/cb",
    "https://127.0.0.1/cb",
    "http://127.0.0.1.evil.example/cb",
    "http://127.0.0.1:99\\@evil.example/cb",
]


@pytest.mark.parametrize("requested", LOOPBACK_VARIANTS)
def test_a_loopback_redirect_matches_its_host_and_path_alone(requested: str) -> None:
    assert not redirect_matches(["http://127.0.0.1/cb"], requested)


def test_a_loopback_redirect_with_another_port_has_a_length() -> None:
    registered = f"http://127.0.0.1/{'a' * 981}"
    assert redirect_matches([registered], registered.replace("1/", "1:1/"))
    assert not redirect_matches([registered], registered.replace("1/", "1:99/"))


def test_http_on_another_host_has_its_own_port() -> None:
    """No app has such a redirect."""
    assert not redirect_matches(["http://app.example/cb"], "http://app.example:99/cb")


def test_https_on_a_loopback_host_has_its_own_port() -> None:
    assert not redirect_matches(["https://localhost/cb"], "https://localhost:8443/cb")


@given(st.sampled_from(ACCEPTED), st.integers(0, 60), st.characters(codec="utf-8"))
def test_one_other_character_is_another_redirect(uri: str, place: int, other: str) -> None:
    changed = uri[:place] + other + uri[place + 1 :]
    if redirect_matches([uri], changed) and changed != uri:
        assert uri.startswith("http://")  # a digit of the port
        assert other.isdigit() or other == ":"


def test_the_host() -> None:
    assert host_of("https://app.example/cb") == host_of("https://app.example:443/cb") == "app.example"
    for other in ("https://app.example:8443/cb", "http://localhost/cb", "com.example.app:/cb", "https://a_b.example/"):
        assert host_of(other) == ""
    assert common_host([HTTPS, "https://app.example/other"]) == "app.example"
    for more in ("https://other.example/", "http://127.0.0.1/cb", "com.example.app:/cb", "https://app.example:8443/"):
        assert common_host([HTTPS, more]) == ""
    assert common_host(["http://127.0.0.1/cb"]) == ""
    assert common_host([]) == ""
