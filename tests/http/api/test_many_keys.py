"""Very many keys: the number per owner is bounded, and lists are paged."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from tests.support.databases import Kind
from tests.support.issuer import PARTY, LiveIssuer
from tests.support.server import DATABASE, Server

KEYS = "/api/v1/api-keys/"
MOST = 4
FULL = {"detail": f"You have {MOST} active API keys, the most that an owner may have: revoke one first."}
_LINK = re.compile(r'<([^>]*)>; rel="next"')


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def limited(
    issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Server]:
    """A server with a small limit of keys per owner, on each database."""
    kind: Kind = request.param
    made = Server(
        tmp_path_factory.mktemp(kind),
        jwks_url=issuer.jwks_url,
        issuer=issuer.url,
        authorized_parties=PARTY,
        key_max_active=str(MOST),
        key_issues_per_minute="0",
    )
    if kind == "postgresql":
        made.env["AUTHZ_DATABASE_URL"] = request.getfixturevalue("postgres").new(prepared=True)
    with made as started:
        yield started


def issue(client: httpx.Client, **body: Any) -> httpx.Response:
    return client.post(KEYS, json={"name": "k", **body})


def test_the_number_of_active_keys_of_an_owner_is_bounded(limited: Server, issuer: LiveIssuer) -> None:
    token = issuer.token(sub="user_full")
    with limited.client(token) as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: issue(client), range(3 * MOST)))
        assert sorted(answer.status_code for answer in answers) == [201] * MOST + [409] * 2 * MOST
        assert [answer.json() for answer in answers if answer.status_code == 409] == [FULL] * 2 * MOST
        keys = [answer.json()["api_key"]["id"] for answer in answers if answer.status_code == 201]
        assert [key["id"] for key in client.get(KEYS).json()] == sorted(keys, reverse=True)

        assert client.post(f"{KEYS}{keys[0]}/revoke/").status_code == 200
        replaced = issue(client)
        assert replaced.status_code == 201
        assert issue(client).status_code == 409
        keys[0] = replaced.json()["api_key"]["id"]
    with limited.client(issuer.token(sub="user_other")) as other:
        assert issue(other).status_code == 201, "the keys of another do not count"

    with limited.client(token) as client, ThreadPoolExecutor(8) as pool:
        rotated = list(pool.map(lambda key: client.post(f"{KEYS}{key}/rotate/"), keys))
        assert [answer.status_code for answer in rotated] == [201] * MOST, "each can be rotated at the limit"
        assert issue(client).json() == FULL
        new = [answer.json()["api_key"]["id"] for answer in rotated]
        beyond = list(pool.map(lambda key: client.post(f"{KEYS}{key}/rotate/"), new))
        assert [answer.status_code for answer in beyond] == [409] * MOST, "but not repeatedly"
        assert set(beyond[0].json()) == {"detail"}
        assert "grace_seconds` 0" in beyond[0].json()["detail"]
        ended = client.post(f"{KEYS}{new[0]}/rotate/", json={"grace_seconds": 0})
        assert ended.status_code == 201
        assert client.post(f"{KEYS}{keys[0]}/revoke/").status_code == 200
        assert client.post(f"{KEYS}{new[1]}/rotate/").status_code == 201
        assert issue(client).json() == FULL


@pytest.fixture(scope="module")
def crowded(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server where `user_many` has 250 keys, and `user_wide` ten with many scopes, among keys of another user."""
    made = Server(
        tmp_path_factory.mktemp("crowded"), jwks_url=issuer.jwks_url, issuer=issuer.url, authorized_parties=PARTY
    )
    with made as started:
        columns = "subject, name, environment, key_prefix, digest, scopes, created_at"
        wide = "[" + ", ".join(f'"{"w" * 190}:{number:04}"' for number in range(200)) + "]"
        owners = [("user_many", "[]")] * 250 + [("user_wide", wide)] * 10
        with closing(sqlite3.connect(started.directory / DATABASE, timeout=10)) as database, database:
            for number, (subject, scopes) in enumerate(owners):
                for owner in (subject, "user_between"):
                    # All at the same time: the ids show which is newer.
                    cells = (owner, f"key {number}", f"{owner} {number}".encode(), scopes)
                    database.execute(
                        f"INSERT INTO api_keys ({columns}) VALUES (?1, ?2, 'live', 'grd_live_00000000', ?3, ?4,"
                        " '2026-11-24 12:00:00.000000')",
                        cells,
                    )
        yield started


def pages(client: httpx.Client, path: str = KEYS) -> Iterator[httpx.Response]:
    """The pages of a list, as a client follows them."""
    following: str | None = path
    while following is not None:
        answer = client.get(following)
        assert answer.status_code == 200, answer.text
        yield answer
        link = answer.links.get("next", {}).get("url")
        following = None if link is None else urljoin(str(answer.url), link)


def test_a_list_is_paged_newest_first(crowded: Server, issuer: LiveIssuer) -> None:
    with crowded.client(issuer.token(sub="user_many")) as client:
        listed = list(pages(client))
        assert [len(page.json()) for page in listed] == [100, 100, 50]
        ids = [key["id"] for page in listed for key in page.json()]
        assert ids == sorted(ids, reverse=True)
        assert len(set(ids)) == 250
        assert "link" not in listed[-1].headers
        assert client.head(KEYS).headers["link"] == listed[0].headers["link"]
        first = _LINK.fullmatch(listed[0].headers["link"])
        assert first is not None
        assert first[1].startswith("/api/v1/api-keys/?cursor=")
        forged = client.get(KEYS, headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
        assert forged.headers["link"] == listed[0].headers["link"]


def test_a_client_pages_while_keys_are_issued_and_deleted(crowded: Server, issuer: LiveIssuer) -> None:
    with crowded.client(issuer.token(sub="user_many")) as client:
        before = [key["id"] for page in pages(client) for key in page.json()]
        following = pages(client)
        seen = [key["id"] for key in next(following).json()]
        newer = issue(client).json()["api_key"]["id"]
        with closing(sqlite3.connect(crowded.directory / DATABASE, timeout=10)) as database, database:
            for gone in (seen[0], seen[-1], before[105]):
                database.execute("DELETE FROM api_keys WHERE id = ?", (gone,))
        seen += [key["id"] for page in following for key in page.json()]
        assert seen == [key for key in before if key != before[105]]
        assert client.get(KEYS).json()[0]["id"] == newer


def test_the_size_of_a_page_is_bounded(crowded: Server, issuer: LiveIssuer) -> None:
    with crowded.client(issuer.token(sub="user_wide")) as client:
        listed = list(pages(client))
    assert max(len(page.content) for page in listed) < 400_000
    assert sum(len(page.json()) for page in listed) == 10
    assert len(listed) == 2


def test_a_cursor_of_another_list_is_refused(crowded: Server, issuer: LiveIssuer) -> None:
    with crowded.client(issuer.token(sub="user_many", permissions=["catalog:read"])) as client:
        good = re.findall(r"cursor=([\w-]+)", client.get(KEYS).headers["link"])[0]
        with crowded.client(issuer.token(sub="user_wide")) as other:
            assert {key["name"] for key in other.get(KEYS, params={"cursor": good}).json()} == set()
        for cursor in (
            "",
            "x",
            good + "A",
            good[:-1],
            "YTE6L2FwaS92MS9hcGkta2V5cw",
            "YjE6L2FwaS92MS90ZWFtcw",
            "é" * 300,
        ):
            answer = client.get(KEYS, params={"cursor": cursor})
            assert answer.status_code == 400, cursor
            assert set(answer.json()) == {"detail"}


def test_the_link_has_the_public_url(issuer: LiveIssuer, crowded: Server) -> None:
    public = Server(
        crowded.directory / "public",
        jwks_url=issuer.jwks_url,
        issuer=issuer.url,
        policies=crowded.policy_dir,
        public_url="https://authz.example.com",
        database_url=crowded.env["AUTHZ_DATABASE_URL"],
    )
    with public, public.client(issuer.token(sub="user_many")) as client:
        link = client.get(KEYS).headers["link"]
    assert link.startswith("<https://authz.example.com/api/v1/api-keys/?cursor=")
