"""Previews, replays and publishes a draft, or runs it in shadow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from litestar import Response, post
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.decision_filter import read_period
from app.audit.replay_view import ReplayResult
from app.console.acknowledgements import acknowledgements_of, missing_acknowledgements
from app.console.change_preview import MAX_SHOWN, preview_values
from app.console.draft import Draft
from app.console.drafts import DraftFindings, DraftForm, sent_draft
from app.console.editor import NO_SUCH_PARENT, editor_page
from app.console.editor import PATH as EDIT
from app.console.forms import MAX_DRAFT_BYTES, OF_DRAFT
from app.console.page import page, see_other
from app.db import revisions
from app.history.acknowledgements import Unacknowledged
from app.history.change_message import message_fault
from app.history.publish import PolicyChange
from app.history.published import Published
from app.history.refusals import StaleParent
from app.history.shadow_changes import deploy
from app.http.api.actors import requesting_actor
from app.http.api.candidate import snapshot_of
from app.http.api.replay import CannotReplay, replayed
from app.http.wire.handlers import RequestSession
from app.http.wire.problems import Problem
from app.policy.language.fault import PolicyRefused
from app.policy.language.source import encode
from app.policy.language.write import PolicyNotWritten
from app.services import AnyRequest, services_of

PERIODS = {"1d": "1 day", "7d": "7 days", "30d": "30 days"}


@dataclass(frozen=True, slots=True)
class ReplayAttempt:
    """The result of a replay, or the error that prevented it."""

    last: str
    result: ReplayResult | None
    error: str = ""


@post(f"{EDIT}/preview", status_code=200, request_max_body_size=MAX_DRAFT_BYTES, opt=OF_DRAFT)
async def preview(request: AnyRequest, session: RequestSession) -> Response[str]:
    """Show what a draft would change."""
    return await _preview(request, session, await _sent(request, session))


@post(f"{EDIT}/replay", status_code=200, request_max_body_size=MAX_DRAFT_BYTES, opt=OF_DRAFT)
async def replay(request: AnyRequest, session: RequestSession) -> Response[str]:
    """Show the preview with a replay of recent decisions."""
    sent = await _sent(request, session)
    last = sent.fields.get("last", "7d")
    return await _preview(request, session, sent, last=last if last in PERIODS else "7d")


@post(f"{EDIT}/publish", status_code=303, request_max_body_size=MAX_DRAFT_BYTES, opt=OF_DRAFT)
async def publish(request: AnyRequest, session: RequestSession) -> Response[str] | Response[None]:
    """Make a draft the active policy."""
    sent = await _sent(request, session)
    message, errors = _message(sent.fields)
    acknowledged, fault = acknowledgements_of(sent.fields)
    errors |= {"accept": fault} if fault else {}
    if errors:
        return await _preview(request, session, sent, errors=errors)
    publisher = services_of(request.app).publisher
    try:
        change = PolicyChange(sent.draft.parent, requesting_actor(request), message, acknowledged)
        done = await publisher.publish(encode(sent.draft.files), change)
    except Unacknowledged as refused:
        return await _preview(
            request, session, sent, errors=missing_acknowledgements(refused, "This change widens access")
        )
    except (StaleParent, PolicyRefused) as refused:
        return await refused_page(request, session, sent.draft, refused, sent.file)
    except PolicyNotWritten as refused:
        return await _preview(request, session, sent, errors={"": _sentence(refused)})
    return see_other(f"/console/policy/history/{done.revision}?published=yes")


@post(f"{EDIT}/shadow", status_code=303, request_max_body_size=MAX_DRAFT_BYTES, opt=OF_DRAFT)
async def shadow(request: AnyRequest, session: RequestSession) -> Response[str] | Response[None]:
    """Run a draft in shadow: it decides nothing, and differences are counted."""
    sent = await _sent(request, session)
    message, errors = _message(sent.fields)
    if errors:
        return await _preview(request, session, sent, errors=errors)
    services = services_of(request.app)
    try:
        snapshot = await snapshot_of(sent.draft.files, services)
    except PolicyRefused as refused:
        return await refused_page(request, session, sent.draft, refused, sent.file)
    await deploy(services.shadowing, session, snapshot, message, requesting_actor(request))
    return see_other("/console/policy#shadow")


ROUTES = (preview, replay, publish, shadow)


async def refused_page(
    request: AnyRequest,
    session: AsyncSession,
    draft: Draft,
    refused: StaleParent | PolicyRefused,
    file: str,
) -> Response[str]:
    """The page for a draft that cannot be published: its faults in the editor, or the newer revision."""
    if isinstance(refused, PolicyRefused):
        faulty = [fault.file for fault in refused.faults]
        shown = file if file in faulty or not faulty else faulty[0]
        return editor_page(request, draft, shown, checked=DraftFindings(refused.faults, ()), status=422)
    live = services_of(request.app).live
    files = live.active.policy.source.files
    return page(
        request,
        "stale.html",
        status=409,
        draft=draft,
        file=file,
        entry=await revisions.find(session, live.active.revision),
        clashes=draft.clashes(files),
    )


async def _sent(request: AnyRequest, session: AsyncSession) -> DraftForm:
    sent = await sent_draft(request, session)
    if sent is None:
        raise Problem(409, NO_SUCH_PARENT)
    return sent


async def _preview(
    request: AnyRequest,
    session: AsyncSession,
    sent: DraftForm,
    *,
    last: str = "",
    errors: Mapping[str, str] | None = None,
) -> Response[str]:
    draft = sent.draft
    if draft.is_empty:
        return editor_page(
            request, draft, sent.file, errors={"": "The draft has no changes yet, so there is no preview."}
        )
    publisher = services_of(request.app).publisher
    try:
        change = PolicyChange(draft.parent, requesting_actor(request), "", dry_run=True)
        found = await publisher.publish(encode(draft.files), change)
    except (StaleParent, PolicyRefused) as refused:
        return await refused_page(request, session, draft, refused, sent.file)
    except PolicyNotWritten as refused:
        return editor_page(request, draft, sent.file, errors={"": _sentence(refused)})
    decide = services_of(request.app).live.active.decide
    return page(
        request,
        "preview.html",
        status=422 if errors else 200,
        draft=draft,
        file=sent.file,
        candidate=found.revision,
        **await preview_values(found, sent.fields),
        errors=errors or {},
        periods=PERIODS,
        last=last or "7d",
        replayed=await _attempt_replay(request, found, last) if last else None,
        may_replay=bool(decide(request.user.held, f"{EDIT}/replay", "POST")),
        may_shadow=bool(decide(request.user.held, f"{EDIT}/shadow", "POST")),
    )


async def _attempt_replay(request: AnyRequest, found: Published, last: str) -> ReplayAttempt:
    """Replay the decisions of one of PERIODS."""
    services, period = services_of(request.app), read_period(last, datetime.now(UTC))
    done: ReplayResult | None = None
    try:
        async for step in replayed(services, found.snapshot, period, limit=MAX_SHOWN, last=last):
            done = step if isinstance(step, ReplayResult) else done
    except CannotReplay as error:
        return ReplayAttempt(last, None, str(error))
    return ReplayAttempt(last, done)


def _message(fields: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    message = fields.get("message", "").replace("\r\n", "\n").strip()
    if not message:
        return "", {"message": "Describe the purpose of this change."}
    fault = message_fault(message)
    return message, {"message": fault} if fault else {}


def _sentence(error: Exception) -> str:
    return f"{str(error)[:1].upper()}{str(error)[1:]}."
