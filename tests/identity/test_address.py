"""Addresses that are trusted for key sets and sign-ins."""

from __future__ import annotations

import pytest

from app.identity.address import is_trustworthy


@pytest.mark.parametrize(
    "url",
    [
        *("https://issuer.example/jwks.json", "HTTPS://issuer.example", "https://issuer.example:8443/a?b=c"),
        *(
            "http://127.0.0.1:8001/jwks",
            "http://127.9.8.7/",
            "http://[::1]:80/",
            "http://localhost:1/",
            "http://LOCALHOST/",
        ),
        "https://[2001:db8::1]/",
    ],
)
def test_https_and_loopback_addresses_are_trusted(url: str) -> None:
    assert is_trustworthy(url)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://issuer.example/",
            "HTTP://issuer.example",
            "http://10.0.0.1/",
            "http://128.0.0.1/",
            "http://0.0.0.0/",
        ),
        *(
            "http://localhost.issuer.example/",
            "http://127.0.0.1.issuer.example/",
            "http://127.1/",
            "http://2130706433/",
        ),
        *(
            "http://127.0.0.1@issuer.example/",
            "https://user:password@issuer.example/",
            "http://127.0.0.1\\@issuer.example/",
            "https://issuer.example\\.evil.example/",
            "https://issuer.example/a\\b",
        ),
        *(
            "http://[::ffff:10.0.0.1]/",
            "http://[fe80::1]/",
            "http://[::1",
            "https://issuer.example:port/",
            "https://issuer.example:65536/",
        ),
        *("ftp://127.0.0.1/", "file:///etc/passwd", "//127.0.0.1/", "127.0.0.1", "https://", "https:///path", ""),
        *(
            "https://issuer.example/ jwks",
            "https://issuer.example/\n",
            "https://issuer.example/\x7f",
            "https://\u0131ssuer.example/",
            "http://localhost\u3002/",
        ),
    ],
)
def test_addresses_that_another_host_could_answer_are_not_trusted(url: str) -> None:
    assert not is_trustworthy(url)
