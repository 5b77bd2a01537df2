"""What `authz policy publish` and `rollback` print: what changed, or why nothing did."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from app.cli.access_text import MAX_DETAILS, change_line, summary_lines
from app.cli.cases_text import acceptance, report_lines
from app.cli.failure import fail
from app.cli.terminal import plural, show, show_json

if TYPE_CHECKING:
    from app.history.fleet import Waited
    from app.history.publish import Published
    from app.history.refusals import CasesFail, LosesPublishers, Widens
    from app.policy.semantic_diff import Difference


def refuse(refused: Widens | LosesPublishers | CasesFail, source: Path, *, as_json: bool) -> NoReturn:
    """Say what must be acknowledged before the policy is published."""
    from app.history.refusals import LosesPublishers, Widens

    widens = isinstance(refused, Widens)
    difference = refused.difference if isinstance(refused, Widens | LosesPublishers) else None
    fewer = refused.fewer if isinstance(refused, Widens | LosesPublishers) else None
    reasons: list[str] = []
    if isinstance(refused, Widens) and refused.replaces:
        reasons.append(
            f"the newest policy, {refused.replaces}, cannot be taken here, so nobody can tell whether access widens: "
            "if it shall be replaced, add --acknowledge-widening."
        )
    elif widens:
        reasons.append("access widens: if this is meant, add --acknowledge-widening.")
    if fewer:
        reasons.append(f"{fewer.summary}: if this is meant, add --acknowledge-fewer-publishers.")
    if refused.cases:
        reasons.append(acceptance(refused.cases))
    if as_json:
        cases = asdict(refused.cases) if refused.cases else None
        doubts = {"widens": widens, "fewer_publishers": fewer is not None}
        show_json({"published": False, **doubts, "reasons": reasons, "cases": cases})
    else:
        if difference:
            _show_access(difference)
        show(report_lines(refused.cases, source) if refused.cases else [])
    fail(" ".join(reasons))


def print_published(done: Published, waited: Waited | None, *, as_json: bool, dry_run: bool) -> None:
    if as_json:
        view = {
            "revision": done.revision,
            "parent": done.parent,
            "widens": done.difference.widens,
            "fewer_publishers": done.fewer is not None,
            "rows": list(done.rows),
            "published": not dry_run and done.revision != done.parent,
            "files": [asdict(file) for file in done.files],
            "cases": asdict(done.cases),
        }
        lag = {"files_lag": done.files_lag} if done.files_lag else {}
        show_json({**view, **lag, **({"replicas": asdict(waited)} if waited else {})})
    else:
        _show(done, dry_run=dry_run)
        if waited:
            _show_waited(waited)
    if waited and waited.behind:
        raise SystemExit(1)


def _show(done: Published, *, dry_run: bool) -> None:
    if done.revision == done.parent:
        show(["Nothing changes: these files are the active policy."])
        return
    _show_access(done.difference)
    if done.fewer:
        show([[("FEWER PUBLISHERS", "bold yellow"), f"  {done.fewer.summary}."]])
    show([f"{file.name}  {file}" for file in done.files])
    show(report_lines(done.cases, Path(done.revision)))
    verb = "Would publish" if dry_run else "Published"
    show([[(verb, "bold green"), f" revision {done.revision}, after {done.parent}."]])
    if done.files_lag:
        show([[("FILES LAG", "bold yellow"), f"  It is served from the database: {done.files_lag}."]])


def _show_waited(waited: Waited) -> None:
    serving = plural(waited.serving, "live replica")
    show([f"{serving} {'serves' if waited.serving == 1 else 'serve'} it, after {waited.waited_seconds:.1f} s."])
    for each in waited.behind:
        why = f": {each.reason}" if each.reason else "."
        show([[("BEHIND", "bold red"), f"  {each.host} process {each.pid} serves {each.revision}{why}"]])


def _show_access(difference: Difference) -> None:
    show(summary_lines(difference))
    if len(difference.changes) <= MAX_DETAILS:
        show([change_line(change) for change in difference.changes])
    show([f"UNKNOWN  {action} {resource}: too many rows to tell" for resource, action in difference.unknown])
