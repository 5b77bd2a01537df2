"""The history of the policy: revisions, what each changed, and rollback."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from litestar import Response, post
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from app.console.acknowledgements import acknowledgements_of, missing_acknowledgements
from app.console.change_preview import MAX_SHOWN, preview_values
from app.console.forms import sent_form
from app.console.page import long_page, may_open, page, see_other
from app.db import revisions
from app.db.tables.history import PolicyRevision
from app.history.acknowledgements import Unacknowledged
from app.history.change_message import message_fault
from app.history.files import bytes_of
from app.history.publish import PolicyChange
from app.history.published import Published
from app.history.refusals import NoSuchRevision, StaleParent
from app.http.api.actors import requesting_actor
from app.http.wire.filters import check_filters
from app.http.wire.handlers import RequestSession, get_or_head
from app.http.wire.ids import read_id
from app.http.wire.problems import Problem
from app.policy.analysis.access_view import AccessChangeView, AccessSummary, FileView, access_of, files_of, summary_of
from app.policy.analysis.semantic_diff import compare
from app.policy.engine.snapshot import Snapshot
from app.policy.language.diff import changes, file_changes
from app.policy.language.fault import Fault, PolicyRefused
from app.policy.language.load import parse
from app.policy.language.source import encode, from_bytes
from app.policy.language.write import PolicyNotWritten
from app.policy.routing.routes import RouteTable
from app.services import AnyRequest, services_of

PATH = "/console/policy/history"
_ROLLBACK = f"{PATH}/{{revision}}/rollback"
PAGE_SIZE = 25
MAX_FILE_SHOWN = 40_000  # characters
_MAX_REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class RevisionMeaning:
    """What a revision changed: access, None if that cannot be determined, and files with their entries."""

    summary: Sequence[AccessSummary]
    access: Sequence[AccessChangeView] | None
    files: Sequence[FileView]
    rows: Sequence[str]


# Comparing takes some tenths of a second, and the result for two revisions and the same routes never changes.
_known: OrderedDict[tuple[str, str, RouteTable], RevisionMeaning] = OrderedDict()


@get_or_head(PATH)
async def history(request: AnyRequest, session: RequestSession) -> Response[str]:
    """Show the policies that were active, newest first."""
    check_filters(request, beside=("before",))
    before = read_id(request.query_params.get("before", ""))
    rows = await revisions.page(session, before=before, limit=PAGE_SIZE + 1)
    live = services_of(request.app).live
    return await long_page(
        request,
        "history.html",
        entries=rows[:PAGE_SIZE],
        active=live.active.revision,
        is_first=before is None,
        older=rows[PAGE_SIZE - 1].id if len(rows) > PAGE_SIZE else None,
        may_roll_back=may_open(request, _ROLLBACK, "POST"),
    )


@get_or_head(f"{PATH}/{{revision:str}}")
async def show(revision: FromPath[str], request: AnyRequest, session: RequestSession) -> Response[str]:
    """Show a revision: what it changed, and its files."""
    row = await _row(session, revision, request.query_params.get("entry", ""))
    parent = await revisions.entry(session, row.parent_id) if row.parent_id else None
    live = services_of(request.app).live
    files = revisions.files_of(row)
    chosen = request.query_params.get("file", "")
    meaning = None
    if parent is not None:
        before = revisions.files_of(parent)
        meaning = await _meaning((parent.revision, before), (row.revision, files), live.table)
    return page(
        request,
        "revision.html",
        entry=row,
        parent=parent,
        meaning=meaning,
        shown=MAX_SHOWN,
        files=sorted(files),
        chosen=chosen if chosen in files else "",
        text=files.get(chosen, "")[:MAX_FILE_SHOWN],
        is_cut=len(files.get(chosen, "")) > MAX_FILE_SHOWN,
        is_active=row.revision == live.active.revision,
        is_just_published="published" in request.query_params,
        files_lag=services_of(request.app).follower.behind,
        may_roll_back=may_open(request, _ROLLBACK, "POST"),
    )


@get_or_head(f"{PATH}/{{revision:str}}/rollback")
async def ask_rollback(revision: FromPath[str], request: AnyRequest, session: RequestSession) -> Response[str]:
    """Show what a rollback would change."""
    return await _confirm(request, session, revision, {}, {})


@post(f"{PATH}/{{revision:str}}/rollback", status_code=303)
async def rollback(
    revision: FromPath[str], request: AnyRequest, session: RequestSession
) -> Response[str] | Response[None]:
    """Make an earlier revision active again."""
    form = sent_form(request)
    fields = {name: str(form.get(name, "")).strip() for name in ("message", "accept", "acknowledge", "fewer")}
    message = fields["message"]
    acknowledged, reason_fault = acknowledgements_of(fields)
    wrong = {"message": message_fault(message), "accept": reason_fault}
    if errors := {name: fault for name, fault in wrong.items() if fault}:
        return await _confirm(request, session, revision, errors, fields)
    publisher = services_of(request.app).publisher
    try:
        change = PolicyChange(str(form.get("parent", "")), requesting_actor(request), message, acknowledged)
        done = await publisher.rollback(revision, change)
    except NoSuchRevision:
        raise Problem(404, "There is no such revision.") from None
    except Unacknowledged as refused:
        errors = missing_acknowledgements(refused, "The rollback widens access")
        return await _confirm(request, session, revision, errors, fields)
    except StaleParent:
        message = "Another policy was published meanwhile, and is compared below: review the change again."
        return await _confirm(request, session, revision, {"": message}, fields)
    except PolicyRefused:
        return await _confirm(request, session, revision, {}, fields)
    except PolicyNotWritten as refused:
        return await _confirm(request, session, revision, {"": f"{refused}."}, fields)
    return see_other(f"{PATH}/{done.revision}")


ROUTES = (history, show, ask_rollback, rollback)


async def _confirm(
    request: AnyRequest, session: AsyncSession, revision: str, errors: Mapping[str, str], fields: Mapping[str, str]
) -> Response[str]:
    row = await _row(session, revision)
    live = services_of(request.app).live
    publisher = services_of(request.app).publisher
    active = live.active.revision
    found: Published | None = None
    faults: Sequence[Fault] = ()
    try:
        change = PolicyChange(active, requesting_actor(request), "", dry_run=True)
        found = await publisher.publish(bytes_of(row), change)
    except PolicyRefused as refused:
        faults = refused.faults
    except StaleParent:
        errors = {**errors, "": "Another policy was published just now: load this page again."}
    except PolicyNotWritten as refused:
        errors = {**errors, "": f"{refused}."}
    return page(
        request,
        "rollback.html",
        status=422 if errors or faults else 200,
        entry=row,
        active=active,
        is_active=row.revision == active,
        faults=faults[:MAX_SHOWN],
        errors=errors,
        **await preview_values(found, fields),
    )


async def _row(session: AsyncSession, revision: str, entry: str = "") -> PolicyRevision:
    """The entry of a revision, by default the newest. Raises Problem 404."""
    entry_id = read_id(entry)
    row = await revisions.entry(session, entry_id) if entry_id else await revisions.find(session, revision)
    if row is None or row.revision != revision:
        raise Problem(404, "There is no such revision.")
    return row


async def _meaning(
    old: tuple[str, Mapping[str, str]], new: tuple[str, Mapping[str, str]], table: RouteTable
) -> RevisionMeaning:
    key = (old[0], new[0], table)
    if key not in _known:
        found = await asyncio.to_thread(_compared, old[1], new[1], table)
        while len(_known) >= _MAX_REMEMBERED:
            _known.popitem(last=False)
        _known[key] = found
    return _known[key]


def _compared(old: Mapping[str, str], new: Mapping[str, str], table: RouteTable) -> RevisionMeaning:
    """Compare two policies over the current routes. An old one may no longer be readable."""
    try:
        before, after = (Snapshot(parse(from_bytes(encode(files))), table) for files in (old, new))
    except PolicyRefused:
        return RevisionMeaning((), None, (), ())
    difference, changed = compare(before, after), changes(before.policy, after.policy)
    files = files_of(file_changes(before.policy, after.policy, changed))
    return RevisionMeaning(summary_of(difference), access_of(difference), files, tuple(map(str, changed)))
