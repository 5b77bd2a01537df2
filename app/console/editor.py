"""The editor of policy files: checks a draft while the author types; nothing changes until it is published."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from litestar import Response, post
from litestar.enums import MediaType

from app.console.draft import Draft, new_file_fault, template_of
from app.console.drafts import MAX_EDITABLE, DraftFindings, DraftForm, active_draft, check, sent_draft
from app.console.forms import MAX_DRAFT_BYTES, OF_DRAFT
from app.console.page import page
from app.http.wire.handlers import RequestSession, get_or_head
from app.http.wire.problems import Problem
from app.policy.analysis.findings import Finding, FindingView
from app.policy.language.file_names import REQUIRED
from app.services import AnyRequest, services_of

PATH = "/console/policy/edit"
FIRST = "roles.csv"  # opened first, if it exists
MAX_SHOWN = 50  # faults or findings
MAX_MARKS = 500  # faults or findings for the script that marks lines
NO_SUCH_PARENT = "The revision on which this draft is based is unknown. Copy what you wrote, and start over."
_encode = msgspec.json.Encoder().encode


@get_or_head(PATH)
async def edit(request: AnyRequest) -> Response[str]:
    """Open the editor with the active policy."""
    draft = active_draft(services_of(request.app))
    return editor_page(request, draft, request.query_params.get("file", ""))


@post(PATH, status_code=200, request_max_body_size=MAX_DRAFT_BYTES, opt=OF_DRAFT)
async def edit_draft(request: AnyRequest, session: RequestSession) -> Response[str]:
    """Change a draft: open, add, delete or restore a file, rebase it on the active policy, or check it."""
    sent = await sent_draft(request, session)
    if sent is None:
        raise Problem(409, NO_SUCH_PARENT)
    draft, file, errors = _apply_button(request, sent)
    return editor_page(request, draft, file, checked=await check(draft, services_of(request.app)), errors=errors)


@post(f"{PATH}/check", status_code=200, request_max_body_size=MAX_DRAFT_BYTES, opt=OF_DRAFT)
async def check_draft(request: AnyRequest, session: RequestSession) -> Response[bytes]:
    """Check a draft, for the script that runs while the author types."""
    sent = await sent_draft(request, session)
    if sent is None:
        raise Problem(409, NO_SUCH_PARENT)
    checked = await check(sent.draft, services_of(request.app))
    document = {
        "marks": marks(checked)[:MAX_MARKS],
        "faults": len(checked.faults),
        "findings": len(checked.findings),
        "files": _statuses(sent.draft),
    }
    return Response(_encode(document), media_type=MediaType.JSON, headers={"Cache-Control": "no-store"})


ROUTES = (edit, edit_draft, check_draft)


def editor_page(
    request: AnyRequest,
    draft: Draft,
    file: str,
    *,
    checked: DraftFindings | None = None,
    errors: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response[str]:
    """The editor with a draft and one of its files open."""
    names = draft.names()
    if file not in names:
        file = FIRST if FIRST in names else names[0]
    text = draft.text(file)
    live = services_of(request.app).live
    found = marks(checked) if checked else []
    return page(
        request,
        "edit.html",
        status=status,
        draft=draft,
        file=file,
        text=text,
        editable=file not in draft.gone and len(text) <= MAX_EDITABLE,
        required=file in REQUIRED,
        lines=text.count("\n") + 1,
        carried={name: kept for name, kept in draft.changed.items() if name != file or len(text) > MAX_EDITABLE},
        checked=checked,
        marks=found[:MAX_SHOWN],
        left_out=max(len(found) - MAX_SHOWN, 0),
        marked={mark.line: mark.severity for mark in reversed(found) if mark.file == file},
        stale=draft.parent != live.active.revision,
        errors=errors or {},
    )


def marks(checked: DraftFindings) -> list[FindingView]:
    """The faults and then the findings of a draft, each with its place."""
    return [finding.view for finding in (*(Finding("error", fault) for fault in checked.faults), *checked.findings)]


def _statuses(draft: Draft) -> dict[str, str]:
    return {name: status for name in draft.names() if (status := draft.status(name))}


def _apply_button(request: AnyRequest, sent: DraftForm) -> tuple[Draft, str, dict[str, str]]:
    """The draft after the action of a button, the file to open, and errors."""
    draft, file, fields = sent.draft, sent.file, sent.fields
    name = fields.get("name", "").strip()
    do = fields.get("do")
    match "add" if do == "enter" and name else do:  # the Enter key in the field of a new file's name
        case "add":
            if fault := new_file_fault(name, draft):
                return draft, file, {"name": fault}
            return draft.with_text(name, template_of(name)), name, {}
        case "delete" if file in REQUIRED:
            return draft, file, {"file": f"Every policy needs {file}."}
        case "delete":
            return draft.without(file), file, {}
        case "restore":
            return draft.restored(file), file, {}
        case "rebase":
            live = services_of(request.app).live
            return draft.rebased(live.active.revision, live.active.policy.source.files), file, {}
    return draft, fields.get("open", file), {}
