"""Issues a key with some of the permissions of its owner. Only the answer to the form contains its plaintext."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from litestar import Response, post
from pydantic import BaseModel, Field

from app.console.forms import read_form
from app.console.key_section import KeySection, in_both_sections, section_of
from app.console.keys import badge
from app.console.page import page
from app.console.single_use import FormId, new_form_id, use_form
from app.db.tables.fields import Name
from app.db.tables.keys import ApiKey
from app.http.api.actors import requesting_actor
from app.http.api.api_keys import WARNING
from app.http.wire.handlers import RequestSession, get_or_head
from app.keys.issuer import KeyOrder, NewKey
from app.keys.owner import KeyOwner
from app.keys.refusals import InvalidKeyOrder, KeyConflict, ScopesNotHeld
from app.policy.analysis.publishers import root_permissions
from app.policy.engine.live import LivePolicy
from app.policy.language.permissions import Permission
from app.services import AnyRequest, Services, services_of

LIVES = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "a year", "never": "never"}
LONGEST = "longest"  # offered if the settings limit the lifetime
_ALREADY = "This form was sent before. Its key was issued then and shown once, so nothing was done now."


class NewKeyForm(BaseModel):
    """The form to issue a key."""

    name: Name
    environment: Literal["live", "test"]
    scopes: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=200)] = []
    lives: Literal["7", "30", "90", "365", "never", "longest"]
    form_id: FormId


@get_or_head(in_both_sections("/new"))
async def show_form(request: AnyRequest) -> Response[str]:
    """Show the form."""
    return _form(request, section_of(request), {}, {})


@post(in_both_sections("/new"))
async def issue_key(request: AnyRequest, session: RequestSession) -> Response[str]:
    """Issue the key and show it once."""
    services, section = services_of(request.app), section_of(request)
    form = await read_form(request, NewKeyForm)
    errors = dict(form.errors)
    if not form.given.get("scopes"):
        errors["scopes"] = "Choose at least one: a key without scopes opens only what is open to everyone."
    if form.value is None or errors:
        return _form(request, section, form.given, errors)
    now = datetime.now(UTC)
    sent = form.value
    ends = None if sent.lives in ("never", LONGEST) else now + timedelta(days=int(sent.lives))
    order = KeyOrder(sent.name, sent.environment, sent.scopes, ends)
    await use_form(session, request, sent.form_id, now, _ALREADY)
    try:
        new = await services.key_issuer.issue(session, section.owner, order, now, by=requesting_actor(request))
    except ScopesNotHeld:
        return _form(request, section, form.given, {"scopes": "You no longer hold one of these. Choose again."})
    except InvalidKeyOrder as refused:
        fields = {"expires_at": "lives"}
        errors = {fields.get(fault.field, fault.field): fault.message for fault in refused.faults}
        return _form(request, section, form.given, errors)
    except KeyConflict as refused:  # the owner has as many keys as they may
        return _form(request, section, form.given, {}, conflict=str(refused))
    return show_plaintext(request, section, new, now)


ROUTES = (show_form, issue_key)


def show_plaintext(
    request: AnyRequest, section: KeySection, new: NewKey, now: datetime, old: ApiKey | None = None
) -> Response[str]:
    """The only page with the plaintext of a new key; `old` is the key that it replaces."""
    return page(
        request,
        "key_issued.html",
        status=201,
        owned=section,
        key=new.key,
        plaintext=new.plaintext,
        warning=WARNING,
        old=old,
        old_badge=badge(old, now) if old else None,
    )


def grantable(owner: KeyOwner, live: LivePolicy) -> list[Permission]:
    """The permissions of the catalogue that an owner holds, also through roles, in its order."""
    snapshot = live.active
    effective = snapshot.effective(owner.held)
    return [permission for name, permission in snapshot.policy.catalog.items() if name in effective]


def _lives(services: Services) -> dict[str, str]:
    """The lifetimes that the form offers, by the value that it sends."""
    longest = services.settings.key_max_days
    if longest is None:
        return LIVES
    shorter = {days: label for days, label in LIVES.items() if days.isdecimal() and int(days) < longest}
    return {**shorter, LONGEST: f"{longest:,} days, the maximum here" if longest > 1 else "a day, the maximum here"}


def _form(
    request: AnyRequest, section: KeySection, given: dict[str, Any], errors: dict[str, str], *, conflict: str = ""
) -> Response[str]:
    services = services_of(request.app)
    lives = _lives(services)
    permissions = grantable(section.owner, services.live)
    return page(
        request,
        "key_new.html",
        status=409 if conflict else 400 if errors else 200,
        owned=section,
        grantable=permissions,
        root=root_permissions(services.live.active, (each.name for each in permissions)),
        environments=[name for name in ("live", "test") if name in services.settings.key_environments],
        lives=lives,
        given={"name": "", "environment": "", "lives": "90" if "90" in lives else LONGEST, "scopes": [], **given},
        errors=errors,
        conflict=conflict,
        form_id=new_form_id(),
    )
