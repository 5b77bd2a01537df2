"""The registry of apps: registering, changing, rotating, disabling and removing, with the admin log."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlmodel import col

from app.audit.actor import Actor
from app.db.session import Sessions
from app.db.tables import metadata
from app.db.tables.history import AdminAction
from app.oauth import registry
from app.oauth.app_list import AppFilter, app_id_of, find_app, page_of_apps
from app.oauth.app_order import AppEdit, AppOrder
from app.oauth.app_view import view_of_app
from app.oauth.client import Client
from app.oauth.clients import find_client
from app.oauth.refusals import AppConflict, InvalidAppOrder, NoSuchApp
from app.oauth.registry import NewSecret

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
BY = Actor("user_admin", None, "request-1", door="api")
REDIRECT, OTHER = "https://app.example/cb", "com.example.app:/cb"
DAY = timedelta(days=1)
ABSENT = [None, 0, -1, 10**6, 2**63, 10**30]


async def register(sessions: Sessions, name: str = "Scores", *, confidential: bool = False) -> NewSecret:
    async with sessions() as session:
        return await registry.register_app(session, AppOrder(name, [REDIRECT], confidential), BY, NOW)


async def client(sessions: Sessions, new: NewSecret, now: datetime = NOW) -> Client | None:
    async with sessions() as session:
        return await find_client(session, new.app.client_id, now)


async def acts(sessions: Sessions) -> list[tuple[str, str, str, Any]]:
    async with sessions() as session:
        rows = await session.scalars(select(AdminAction).order_by(col(AdminAction.id)))
        return [(row.action, row.target, row.author, row.details) for row in rows]


async def test_a_confidential_app_is_stored_without_its_secret(sessions: Sessions) -> None:
    new = await register(sessions, confidential=True)
    assert new.plaintext is not None
    assert new.plaintext not in repr(new)
    found = await client(sessions, new)
    assert found is not None
    assert found.confidential
    assert found.accepts_secret(new.plaintext, NOW)
    assert found.host == "app.example"
    async with sessions() as session:
        tables = [(await session.execute(select(table))).all() for table in metadata.sorted_tables]
    assert new.plaintext.removeprefix("grd_ocs_") not in repr(tables)
    assert hashlib.sha256(new.plaintext.encode()).digest() == new.app.secret_digest
    details = {"kind": "registered", "name": "Scores", "confidential": True, "redirect_uris": [REDIRECT]}
    assert await acts(sessions) == [("app.register", f"app:{new.app.client_id}", "user_admin", details)]


async def test_a_public_app_has_no_secret(sessions: Sessions) -> None:
    new = await register(sessions)
    found = await client(sessions, new)
    assert new.plaintext is None
    assert found is not None
    assert not found.confidential
    async with sessions() as session:
        with pytest.raises(AppConflict, match="has no secret"):
            await registry.rotate_secret(session, new.app.id, BY, NOW)


@pytest.mark.parametrize(
    ("order", "fields"),
    [
        (AppOrder("", [REDIRECT]), ["name"]),
        (AppOrder("x" * 10_000, [REDIRECT]), ["name"]),
        (AppOrder("evil\u202e", [REDIRECT]), ["name"]),
        (AppOrder("Scores", []), ["redirect_uris"]),
        (AppOrder("Scores", [REDIRECT, REDIRECT]), ["redirect_uris"]),
        (AppOrder("Scores", [f"{REDIRECT}/{n}" for n in range(21)]), ["redirect_uris"]),
        (AppOrder(" ", [REDIRECT, "http://app.example/", "x"]), ["name", "redirect_uris.1", "redirect_uris.2"]),
    ],
)
async def test_an_invalid_app_is_not_registered(sessions: Sessions, order: AppOrder, fields: list[str]) -> None:
    async with sessions() as session:
        with pytest.raises(InvalidAppOrder) as refused:
            await registry.register_app(session, order, BY, NOW)
        assert [fault.field for fault in refused.value.faults] == fields
        assert await page_of_apps(session, AppFilter(), NOW, before=None, limit=5) == []
    assert await acts(sessions) == []


async def test_a_change_of_redirects_is_another_version(sessions: Sessions) -> None:
    new = await register(sessions)
    before = await client(sessions, new)
    async with sessions() as session:
        await registry.change_app(session, new.app.id, AppEdit(name="Results"), BY, NOW + DAY)
        renamed = await client(sessions, new)
        await registry.change_app(session, new.app.id, AppEdit(redirect_uris=[REDIRECT, OTHER]), BY, NOW + DAY)
        await registry.change_app(session, new.app.id, AppEdit("Results", [REDIRECT, OTHER]), BY, NOW + 2 * DAY)
        moved = await client(sessions, new)
        with pytest.raises(InvalidAppOrder):
            await registry.change_app(session, new.app.id, AppEdit(redirect_uris=[]), BY, NOW)
    assert before is not None
    assert renamed is not None
    assert moved is not None
    assert (renamed.name, renamed.version) == ("Results", before.version)
    assert moved.version != before.version
    assert (moved.redirect_uris, moved.host, moved.changed_at) == ((REDIRECT, OTHER), "", NOW + DAY)
    assert [(act, details) for act, _, _, details in await acts(sessions)][1:] == [
        ("app.change", {"kind": "registered", "name": "Results", "former_name": "Scores"}),
        (
            "app.change",
            {
                "kind": "registered",
                "name": "Results",
                "former_redirect_uris": [REDIRECT],
                "redirect_uris": [REDIRECT, OTHER],
            },
        ),
    ]


async def test_two_secrets_are_accepted_during_the_overlap(sessions: Sessions) -> None:
    new = await register(sessions, confidential=True)
    async with sessions() as session:
        second = await registry.rotate_secret(session, new.app.id, BY, NOW, overlap_seconds=60)
    rotated = await client(sessions, new)
    assert rotated is not None
    assert new.plaintext
    assert second.plaintext
    for seconds, former in ((0, True), (59, True), (60, False)):
        assert rotated.accepts_secret(new.plaintext, NOW + timedelta(seconds=seconds)) is former
        assert rotated.accepts_secret(second.plaintext, NOW + timedelta(seconds=seconds))
    assert view_of_app(second.app, NOW, grants=0).former_secret_until == NOW + timedelta(seconds=60)
    assert view_of_app(second.app, NOW + timedelta(seconds=60), grants=0).former_secret_until is None
    async with sessions() as session:
        with pytest.raises(AppConflict, match="2026-11-29T12:01:00Z"):
            await registry.rotate_secret(session, new.app.id, BY, NOW + timedelta(seconds=59))
        await registry.rotate_secret(session, new.app.id, BY, NOW + timedelta(seconds=60))
        third = await registry.rotate_secret(session, new.app.id, BY, NOW, overlap_seconds=0)
    assert third.plaintext
    ended = await client(sessions, new)
    assert ended is not None
    assert [ended.accepts_secret(each, NOW) for each in (new.plaintext, second.plaintext, third.plaintext)] == [
        False,
        False,
        True,
    ]
    assert [act for act, *_ in await acts(sessions)] == ["app.register", *["app.rotate"] * 3]


async def test_rotations_at_the_same_time_follow_each_other(sessions: Sessions) -> None:
    new = await register(sessions, confidential=True)

    async def rotate() -> str | None:
        async with sessions() as session:
            try:
                return (await registry.rotate_secret(session, new.app.id, BY, NOW)).plaintext
            except AppConflict:
                return None

    rotated = [plaintext for plaintext in await asyncio.gather(*(rotate() for _ in range(4))) if plaintext]
    found = await client(sessions, new)
    assert found is not None
    assert len(rotated) == 1
    assert found.accepts_secret(rotated[0], NOW)


async def test_disable_enable_and_remove(sessions: Sessions) -> None:
    new, other = await register(sessions), await register(sessions, "Other")
    async with sessions() as session:
        for moment in (NOW, NOW + DAY):
            assert (await registry.disable_app(session, new.app.id, BY, moment)).disabled_at == NOW
        disabled = await client(sessions, new)
        assert disabled is not None
        assert not disabled.enabled
        for _ in range(2):
            assert (await registry.enable_app(session, new.app.id, BY, NOW)).disabled_at is None
        assert (await registry.remove_app(session, new.app.id, BY, NOW)).client_id == new.app.client_id
    assert await client(sessions, new) is None
    assert await client(sessions, other)
    target = f"app:{new.app.client_id}"
    assert [(act, at) for act, at, *_ in await acts(sessions) if at == target] == [
        (act, target) for act in ("app.register", "app.disable", "app.enable", "app.remove")
    ]


@pytest.mark.parametrize("app_id", ABSENT)
async def test_an_app_that_does_not_exist(sessions: Sessions, app_id: int | None) -> None:
    def calls(session: Any) -> list[Callable[[], Awaitable[object]]]:
        return [
            lambda: registry.change_app(session, app_id, AppEdit("Results"), BY, NOW),
            lambda: registry.rotate_secret(session, app_id, BY, NOW),
            lambda: registry.disable_app(session, app_id, BY, NOW),
            lambda: registry.enable_app(session, app_id, BY, NOW),
            lambda: registry.remove_app(session, app_id, BY, NOW),
            lambda: find_app(session, app_id),
            lambda: app_id_of(session, str(app_id)),
        ]

    async with sessions() as session:
        for call in calls(session):
            with pytest.raises(NoSuchApp, match="App not found"):
                await call()
            await session.rollback()
    assert await acts(sessions) == []


@pytest.mark.parametrize("kind", ["document", "dynamic"])
async def test_an_app_that_describes_itself_is_only_disabled_or_removed(sessions: Sessions, kind: str) -> None:
    new = await register(sessions)
    async with sessions() as session:
        await session.execute(text(f"UPDATE oauth_clients SET kind = '{kind}'"))
        await session.commit()
        with pytest.raises(AppConflict, match="describes itself"):
            await registry.change_app(session, new.app.id, AppEdit("Results"), BY, NOW)
        await session.rollback()
        assert (await registry.disable_app(session, new.app.id, BY, NOW)).disabled_at == NOW
        if kind == "document":  # whose id would be that of an enabled app again
            with pytest.raises(AppConflict, match="leave it disabled"):
                await registry.remove_app(session, new.app.id, BY, NOW)
            await session.rollback()
            found = await find_client(session, new.app.client_id, NOW)
            assert found is not None
            assert not found.enabled
            await registry.enable_app(session, new.app.id, BY, NOW)
        await registry.remove_app(session, new.app.id, BY, NOW)


async def test_the_number_of_registered_apps_is_limited(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "MAX_REGISTERED", 2)
    for _ in range(2):
        await register(sessions)
    with pytest.raises(AppConflict, match="There are 2 registered apps"):
        await register(sessions)


async def test_the_list_is_filtered_and_paged(sessions: Sessions) -> None:
    apps = [await register(sessions, f"App {number}", confidential=number == 1) for number in range(4)]
    ids = [new.app.id for new in apps]
    async with sessions() as session:
        await registry.disable_app(session, ids[1], BY, NOW)
        await session.execute(text(f"UPDATE oauth_clients SET kind = 'dynamic' WHERE id = {ids[2]}"))
        await session.execute(
            text(f"UPDATE oauth_clients SET expires_at = '2026-11-30 12:00:00+00:00' WHERE id = {ids[2]}")
        )
        await session.commit()

        async def found(before: int | None = None, limit: int = 9, now: datetime = NOW, **given: Any) -> list[int]:
            rows = await page_of_apps(session, AppFilter(**given), now, before=before, limit=limit)
            return [row.id for row in rows]

        assert await found() == ids[::-1]
        assert await found(limit=2) == [ids[3], ids[2]]
        assert await found(before=ids[2], limit=2) == [ids[1], ids[0]]
        assert await found(kind="dynamic") == [ids[2]]
        assert await found(kind="dynamic", now=NOW + DAY - timedelta(microseconds=1)) == [ids[2]]
        assert await found(kind="dynamic", now=NOW + DAY) == []
        assert await found(status="disabled") == [ids[1]]
        assert await found(status="enabled", kind="registered") == [ids[3], ids[0]]
        assert await found(client_id=apps[3].app.client_id) == [ids[3]]
        assert await found(client_id="app_\x00") == []
        assert await app_id_of(session, apps[1].app.client_id) == ids[1]
