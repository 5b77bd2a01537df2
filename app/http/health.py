"""Health: whether the process lives, and whether it can decide and answer."""

from __future__ import annotations

from typing import Any

from litestar import Response, route
from litestar.datastructures import State
from litestar.enums import HttpMethod
from sqlalchemy.exc import SQLAlchemyError

from app.db.session import answers

_READ = [HttpMethod.GET, HttpMethod.HEAD]


@route("/healthz", http_method=_READ, summary="Is the process alive?", tags=["health"])
async def healthz() -> dict[str, str]:
    """Always `ok` while the process answers: restart it when this fails."""
    return {"status": "ok"}


@route("/readyz", http_method=_READ, summary="Can it serve?", tags=["health"])
async def readyz(state: State) -> Response[dict[str, Any]]:
    """503 when the database, the key set or the policy is unusable: send traffic elsewhere while it fails."""
    checks = {"database": await _database(state), "key_set": _key_set(state), "policy": _policy(state)}
    ready = all(check["ok"] for check in checks.values())
    content = {"status": "ready" if ready else "not ready", "checks": checks}
    return Response(content, status_code=200 if ready else 503, headers={"Cache-Control": "no-store"})


async def _database(state: State) -> dict[str, Any]:
    try:
        await answers(state.sessions)
    except (SQLAlchemyError, OSError) as error:
        return {"ok": False, "error": type(error).__name__}
    return {"ok": True}


def _key_set(state: State) -> dict[str, Any]:
    keys = state.key_set
    age = keys.age_seconds
    return {"ok": keys.ready, "age_seconds": None if age is None else round(age)}


def _policy(state: State) -> dict[str, Any]:
    # The last good policy serves on after a bad one: that is worth knowing, and no reason to leave.
    return {"ok": True, "revision": state.live.active.revision, "last_reload_refused": state.live.refused is not None}
