"""Issue a key with some of one's own permissions. Its plaintext is in the answer to the form, and nowhere else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from litestar import Response, post, route
from litestar.di import NamedDependency
from litestar.enums import HttpMethod
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.console.forms import read_form
from app.console.keys import PATH, badge
from app.console.page import page
from app.console.single_use import Once, form_id, only_once
from app.db.tables.fields import Name
from app.db.tables.keys import ApiKey
from app.http.api.actors import requesting_actor
from app.http.api.api_keys import WARNING
from app.http.api.key_rules import IssueKey, issue
from app.http.wire.problems import Problem
from app.identity.principal import Principal
from app.policy.analysis.publishers import root_permissions
from app.policy.engine.live import LivePolicy
from app.policy.language.permissions import Permission
from app.services import AnyRequest, Services, services_of

_Session = NamedDependency[AsyncSession]
LIVES = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "a year", "never": "it is revoked"}
LONGEST = "longest"  # where less than all of these is allowed
_ALREADY = "This form was sent before. Its key was issued then and shown once, so nothing was done now."


class NewKeyForm(BaseModel):
    """The form."""

    name: Name
    environment: Literal["live", "test"]
    scopes: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=200)] = []
    lives: Literal["7", "30", "90", "365", "never", "longest"]
    once: Once


@route(f"{PATH}/new", http_method=[HttpMethod.GET, HttpMethod.HEAD], include_in_schema=False)
async def show_form(request: AnyRequest) -> Response[str]:
    """What shall the key be called, and what may it do?"""
    services = services_of(request.app)
    return _form(request, services, {}, {})


@post(f"{PATH}/new", include_in_schema=False)
async def issue_key(request: AnyRequest, session: _Session) -> Response[str]:
    """Issue it and show it, this once."""
    services = services_of(request.app)
    form = await read_form(request, NewKeyForm)
    errors = dict(form.errors)
    if not form.given.get("scopes"):
        errors["scopes"] = "Choose at least one: a key without any opens nothing of yours."
    if form.value is None or errors:
        return _form(request, services, form.given, errors)
    now = datetime.now(UTC)
    asked = form.value
    ends = None if asked.lives in ("never", LONGEST) else now + timedelta(days=int(asked.lives))
    wanted = IssueKey(name=asked.name, environment=asked.environment, scopes=asked.scopes, expires_at=ends)
    await only_once(session, request, asked.once, now, _ALREADY)
    try:
        key, plaintext = await issue(session, services, request.user, wanted, now, by=requesting_actor(request))
    except Problem as problem:
        if problem.status == 403:
            errors["scopes"] = "One of these is not yours any more. Choose again."
        elif problem.errors:
            shown = {"expires_at": "lives"}
            errors |= {shown.get(error["field"], error["field"]): error["message"] for error in problem.errors}
        else:
            raise
        return _form(request, services, form.given, errors)
    return show_plaintext(request, key, plaintext, now)


ROUTES = (show_form, issue_key)


def show_plaintext(
    request: AnyRequest, key: ApiKey, plaintext: str, now: datetime, old: ApiKey | None = None
) -> Response[str]:
    """The one page with the plaintext of a new key; `old` is the key that it takes the place of."""
    return page(
        request,
        "key_issued.html",
        status=201,
        key=key,
        plaintext=plaintext,
        warning=WARNING,
        old=old,
        old_badge=badge(old, now) if old else None,
    )


def grantable(owner: Principal, live: LivePolicy) -> list[Permission]:
    """The permissions of the catalogue that a caller holds, through roles too, in the catalogue's order."""
    snapshot = live.active
    effective = snapshot.effective(owner.held)
    return [permission for name, permission in snapshot.policy.catalog.items() if name in effective]


def _lives(services: Services) -> dict[str, str]:
    """How long a key may live, by what the form sends."""
    longest = services.settings.key_max_days
    if longest is None:
        return LIVES
    shorter = {days: label for days, label in LIVES.items() if days.isdecimal() and int(days) < longest}
    return {**shorter, LONGEST: f"{longest:,} days, the most here" if longest > 1 else "a day, the most here"}


def _form(request: AnyRequest, services: Services, given: dict[str, Any], errors: dict[str, str]) -> Response[str]:
    lives = _lives(services)
    permissions = grantable(request.user, services.live)
    return page(
        request,
        "key_new.html",
        status=400 if errors else 200,
        grantable=permissions,
        root=root_permissions(services.live.active, (each.name for each in permissions)),
        environments=[name for name in ("live", "test") if name in services.settings.key_environments],
        lives=lives,
        given={"name": "", "environment": "", "lives": "90" if "90" in lives else LONGEST, "scopes": [], **given},
        errors=errors,
        once=form_id(),
    )
