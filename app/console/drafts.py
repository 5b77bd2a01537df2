"""Reads drafts from forms, and checks them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.console.draft import Draft, draft_of, plain
from app.console.forms import sent_form
from app.db import revisions
from app.http.api.candidate import snapshot_of
from app.policy.analysis.findings import Finding, find
from app.policy.language.fault import Fault, PolicyRefused
from app.services import AnyRequest, Services, services_of

_REVISION = re.compile(r"[0-9a-f]{16}")
MAX_EDITABLE = 60_000  # characters of a file that is edited in a page


@dataclass(frozen=True, slots=True)
class DraftFindings:
    """The faults of a draft, or the findings of one without faults."""

    faults: Sequence[Fault]
    findings: Sequence[Finding]


@dataclass(frozen=True, slots=True)
class DraftForm:
    """A draft, the file that is open in the editor, and the other fields of the form."""

    draft: Draft
    file: str
    fields: Mapping[str, str]


def active_draft(services: Services) -> Draft:
    """An empty draft, based on the active policy."""
    return Draft(services.live.active.revision, services.live.active.policy.source.files, {})


async def sent_draft(request: AnyRequest, session: AsyncSession) -> DraftForm | None:
    """The draft in a form; None if the revision on which it is based is unknown."""
    form = sent_form(request)
    fields = {name: str(form.getall(name)[-1]) for name in form}
    parent = fields.get("parent", "")
    base = await _base(services_of(request.app), session, parent)
    if base is None:
        return None
    draft = draft_of(parent, base, map(str, form.getall("change", [])), map(str, form.getall("gone", [])))
    file = fields.get("file", "")
    if "text" in fields and file and file not in draft.gone:
        draft = draft.with_text(file, plain(fields["text"]))
    return DraftForm(draft, file, fields)


async def check(draft: Draft, services: Services) -> DraftFindings:
    """Check a draft as for publishing."""
    try:
        snapshot = await snapshot_of(draft.files, services)
    except PolicyRefused as refused:
        return DraftFindings(refused.faults, ())
    proxies_stated = services.settings.trusted_proxies is not None
    return DraftFindings((), await asyncio.to_thread(find, snapshot, proxies_stated=proxies_stated))


async def _base(services: Services, session: AsyncSession, parent: str) -> Mapping[str, str] | None:
    if parent == services.live.active.revision:
        return services.live.active.policy.source.files
    row = await revisions.find(session, parent) if _REVISION.fullmatch(parent) else None
    return None if row is None else revisions.files_of(row)
