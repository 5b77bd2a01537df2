"""A client: its name, its secrets, its host and its version."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from app.oauth.client import Client, ClientSecret, client_host, client_version
from app.oauth.names import name_fault
from tests.support.secret_texts import PLAIN, SECRETS

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SECRET, FORMER = "grd_ocs_" + "5a" * 24, "grd_ocs_" + "c3" * 24


def client(**given: object) -> Client:
    fields = {
        "client_id": "app_1",
        "kind": "registered",
        "name": "Scores",
        "host": "app.example",
        "redirect_uris": ("https://app.example/cb",),
        "version": "1",
        "created_at": NOW,
        "changed_at": NOW,
        **given,
    }
    return Client(**fields)  # type: ignore[arg-type]  # each test states the types of its fields


@pytest.mark.parametrize(
    "name",
    [
        "Scores",
        "a",
        "x" * 60,
        "Fußball & <b>Ergebnisse</b>",
        "קבוצה",
        "ทีมฟุตบอล",
        "पटल",
        "🏈 Scores",
        "e\u0301quipe",
        "a" + "\u0301" * 3,
        "a\u0301\u0301b" * 2,
    ],
)
def test_a_name_is_text(name: str) -> None:
    assert name_fault(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        " Scores",
        "Scores ",
        "x" * 61,
        "x" * 10_000,
        "two\nlines",
        "tab\tbed",
        "nul\x00",
        "\u202egriddy",
        "a\u2066b",
        "a\u200fb",
        "a\u061cb",
        "a\u200bb",
        "a\ufeffb",
        "a\u00adb",
        "a\u2028b",
        "a\u00a0b",
        "a\u3164b",
        "\u2800",
        "\ud800",
        "\ue000",
        "\u0301a",
        "a" + "\u0301" * 4,
        "a" + "\u20dd" * 4,
        "abc" + "\u0301\u20dd" * 2,
    ],
    ids=ascii,
)
def test_a_name_that_could_look_like_more_is_refused(name: str) -> None:
    assert name_fault(name)


def test_secrets() -> None:
    digests = [hashlib.sha256(secret.encode()).digest() for secret in (SECRET, FORMER)]
    app = client(secrets=(ClientSecret(digests[0]), ClientSecret(digests[1], NOW + timedelta(seconds=10))))
    assert app.confidential
    for seconds, former_works in ((0, True), (9.9, True), (10, False), (11, False)):
        now = NOW + timedelta(seconds=seconds)
        assert app.accepts_secret(SECRET, now)
        assert app.accepts_secret(FORMER, now) is former_works
        for wrong in ("", SECRET[:-1], SECRET.upper(), f"{SECRET} ", "grd_ocs_", digests[0].hex(), "\ud800"):
            assert not app.accepts_secret(wrong, now)
    assert "digest" not in repr(app)
    public = client()
    assert not public.confidential
    assert not public.accepts_secret("", NOW)


def test_a_client_is_enabled_until_it_is_disabled() -> None:
    assert client().enabled
    assert not client(disabled_at=NOW).enabled


def test_the_site_of_a_client_has_the_port_of_its_document() -> None:
    assert client(kind="document", client_id="https://doc.example:8443/client.json").site == "doc.example:8443"
    assert client(kind="registered", client_id="https://doc.example/").site == "app.example"
    assert client(kind="dynamic", host="").site == ""


def test_the_host_of_a_client() -> None:
    redirects = ["https://app.example/cb"]
    assert client_host("app_1", "registered", redirects) == "app.example"
    assert client_host("app_1", "registered", [*redirects, "http://localhost/cb"]) == ""
    assert client_host("app_1", "dynamic", redirects) == ""
    assert client_host("https://doc.example/client.json", "document", redirects) == "doc.example"


def test_the_version_changes_with_redirects_and_keys_alone() -> None:
    version = client_version(["https://a.example/", "https://b.example/"])
    assert version == client_version(["https://b.example/", "https://a.example/"])
    others = {
        client_version(["https://a.example/"]),
        client_version(["https://a.example/", "https://c.example/"]),
        client_version(["https://a.example/", "https://b.example/"], {"jwks_uri": "https://a.example/keys"}),
        client_version(["https://a.example/", "https://b.example/"], {"jwks_uri": "https://b.example/keys"}),
    }
    assert len(others | {version}) == 5
    assert {len(each) for each in others} == {32}, "as many as the form of a consent accepts"


def test_the_name_of_a_client_contains_no_secret() -> None:
    for text in SECRETS:
        if len(text) <= 60:
            assert name_fault(text) == "must not contain an API key or a token, since it is stored and shown", text
    assert [name_fault(text) for text in PLAIN if len(text) <= 60] == [None] * 6
