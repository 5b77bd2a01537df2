"""Completions for the script of the editor: what fits where the author types."""

from __future__ import annotations

import asyncio
import re

import msgspec
from litestar import Response, post
from litestar.enums import MediaType

from app.console.drafts import sent_draft
from app.console.editor import NO_SUCH_PARENT, PATH
from app.console.formatting import visible
from app.console.forms import MAX_DRAFT_BYTES, OF_DRAFT
from app.http.wire.handlers import RequestSession
from app.http.wire.problems import Problem
from app.policy.editing.completion import Completion, completions
from app.services import AnyRequest, services_of

MAX_SHOWN = 50
_NUMBER = re.compile(r"[0-9]{1,9}")
_encode = msgspec.json.Encoder().encode


@post(f"{PATH}/completions", status_code=200, request_max_body_size=MAX_DRAFT_BYTES, opt=OF_DRAFT)
async def complete_draft(request: AnyRequest, session: RequestSession) -> Response[bytes]:
    """Complete what is typed at a line and column of the open file; columns count characters from 1."""
    services = services_of(request.app)
    services.long_work.check_waiting(request.user.subject)  # before reading a large body
    sent = await sent_draft(request, session)
    if sent is None:
        raise Problem(409, NO_SUCH_PARENT)
    position = [sent.fields.get(name, "") for name in ("line", "column")]
    if not all(map(_NUMBER.fullmatch, position)):
        raise Problem(400, "A line and a column are numbers.")
    line, column = map(int, position)
    async with services.long_work.turn(request.user.subject):
        found = await asyncio.to_thread(completions, sent.draft.files, services.live.table, sent.file, line, column)
    document = {"completions": [_shown(each) for each in found[:MAX_SHOWN]], "left_out": max(len(found) - MAX_SHOWN, 0)}
    return Response(_encode(document), media_type=MediaType.JSON, headers={"Cache-Control": "no-store"})


ROUTES = (complete_draft,)


def _shown(found: Completion) -> dict[str, object]:
    return {
        "text": found.text,
        "shown": visible(found.text),
        "kind": found.kind,
        "detail": visible(found.detail),
        "column": found.replaces.column,
        "end": found.replaces.end,
    }
