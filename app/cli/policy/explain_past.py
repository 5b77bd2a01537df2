"""`authz policy explain --request`: what was decided then, and what the policy says now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.database import with_session
from app.cli.failure import fail
from app.cli.terminal import plural, show, show_json

if TYPE_CHECKING:
    from app.policy.engine.snapshot import Snapshot
    from app.policy.language.given import Given


def explain_past(snapshot: Snapshot, request_id: str, given: Given, directory: Path, *, as_json: bool) -> None:
    """Print both; exit with 1 if it is denied now, or unknown."""
    from app.cli.decisions import decision_line
    from app.cli.policy.explain_text import explanation_lines
    from app.db.past_requests import find_past

    found = with_session(lambda session: find_past(session, request_id, snapshot, given))
    if found is None:
        fail(f"no decision on {request_id} is in the log: it is too new, too old, or was not sampled.")
    explanation = found.explanation
    if as_json:
        import msgspec

        from app.cli.policy.explain_view import PastExplanation

        show_json(msgspec.to_builtins(PastExplanation(found.now, found.then, found.others, found.note)))
    else:
        show([f"Then, under revision {found.newest.record.key.revision}:", decision_line(found.newest), ""])
        if found.others:
            show([f"{plural(found.others, 'more decision')} on this request: `authz decisions tail` lists them.", ""])
        show(
            [f"Now, under revision {snapshot.revision}:", *explanation_lines(explanation, snapshot.policy, directory)]
            if explanation
            else [found.note or ""]
        )
    if not (explanation and explanation.decision):
        raise SystemExit(1)
