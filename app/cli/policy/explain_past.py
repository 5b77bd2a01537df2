"""`authz policy explain --request`: what was decided then, and what the policy says now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.database import with_sessions
from app.cli.failure import fail
from app.cli.terminal import plural, show, show_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.db.decisions import LoggedRecord
    from app.db.session import Sessions
    from app.policy.engine.snapshot import Snapshot
    from app.policy.language.given import Given

_MAX_COUNTED = 100


def explain_past(snapshot: Snapshot, request_id: str, given: Given, directory: Path, *, as_json: bool) -> None:
    """Print both; exit with 1 if it is denied now, or unknown."""
    import msgspec

    from app.audit.past_decision import CannotDecideAgain, decide_again
    from app.audit.view import view
    from app.cli.decisions import decision_line
    from app.cli.policy.explain_text import explanation_lines
    from app.policy.analysis.explained import explanation_view

    rows = with_sessions(lambda sessions: _rows(sessions, request_id))
    if not rows:
        fail(f"no decision on {request_id} is in the log: it is too new, too old, or was not sampled.")
    newest, *others = rows
    try:
        found = decide_again(newest.record, snapshot, given)
        note = ""
    except CannotDecideAgain as why:
        found, note = None, f"What the policy says now cannot be told: {why}."
    if as_json:
        now = explanation_view(found) if found else None
        then = view(newest.id, newest.record)
        document = {"now": now, "then": then, "others": len(others), "note": note or None}
        show_json(msgspec.to_builtins(document))
    else:
        show(["Then, under revision " + newest.record.key.revision + ":", decision_line(newest), ""])
        if others:
            show([f"{plural(len(others), 'more decision')} on this request: `authz decisions tail` lists them.", ""])
        show(
            [f"Now, under revision {snapshot.revision}:", *explanation_lines(found, snapshot.policy, directory)]
            if found
            else [note]
        )
    if not (found and found.decision):
        raise SystemExit(1)


async def _rows(sessions: Sessions, request_id: str) -> Sequence[LoggedRecord]:
    from app.audit.decision_filter import DecisionFilter
    from app.db import decisions

    async with sessions() as session:
        return (await decisions.page(session, DecisionFilter(request_id=request_id), size=_MAX_COUNTED)).rows
