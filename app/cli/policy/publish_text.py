"""Formats the result of `authz policy publish` and `rollback`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from app.cli.failure import fail
from app.cli.policy.access_text import MAX_DETAILS, change_line, summary_lines
from app.cli.policy.cases_text import acceptance, report_lines
from app.cli.terminal import plural, show, show_json

if TYPE_CHECKING:
    from app.history.fleet import FleetProgress
    from app.history.published import Published
    from app.history.refusals import CasesFail, LosesPublishers, Widens
    from app.policy.analysis.access_change import AccessDiff


def refuse(refused: Widens | LosesPublishers | CasesFail, directory: Path | None, *, as_json: bool) -> NoReturn:
    """Print what must be acknowledged before the policy is published. `directory` holds its files, if any does."""
    from app.history.refusals import CasesFail

    reasons = _reasons(refused)
    difference = None if isinstance(refused, CasesFail) else refused.difference
    if as_json:
        cases = asdict(refused.cases) if refused.cases else None
        show_json({"published": False, **_doubts(refused), "reasons": reasons, "cases": cases})
    else:
        if difference:
            _show_access(difference)
        show(report_lines(refused.cases, directory) if refused.cases else [])
    fail(" ".join(reasons))


def print_published(done: Published, waited: FleetProgress | None, directory: Path | None, *, as_json: bool) -> None:
    """Print what was published; exit with 1 if a live replica does not serve it in time."""
    if as_json:
        lag = {"files_lag": done.files_lag} if done.files_lag else {}
        replicas = {"replicas": asdict(waited)} if waited else {}
        show_json({**_view(done), "published": done.revision != done.parent, **lag, **replicas})
    else:
        _show(done, directory)
        if done.revision != done.parent:
            show([[("Published", "bold green"), f" revision {done.revision}, after {done.parent}."]])
        if done.files_lag:
            show([[("FILES LAG", "bold yellow"), f"  It is served from the database: {done.files_lag}."]])
        if waited:
            _show_waited(waited)
    if waited and waited.behind:
        raise SystemExit(1)


def print_trial(
    trial: Published, refused: Widens | LosesPublishers | CasesFail | None, directory: Path, *, as_json: bool
) -> None:
    """Print what a publication would change; exit with 1 if it would be refused."""
    reasons = _reasons(refused) if refused else []
    if as_json:
        show_json({**_view(trial), "published": False, "reasons": reasons})
    else:
        _show(trial, directory)
        if trial.revision != trial.parent and not refused:
            show([[("Would publish", "bold green"), f" revision {trial.revision}, after {trial.parent}."]])
    if reasons:
        fail(f"this would be refused: {' '.join(reasons)}")


def _reasons(refused: Widens | LosesPublishers | CasesFail) -> list[str]:
    """The reasons of the refusal, each with the option that acknowledges it."""
    from app.history.refusals import LosesPublishers, Widens

    reasons: list[str] = []
    if isinstance(refused, Widens) and refused.replaces:
        reasons.append(
            f"the newest policy, {refused.replaces}, cannot be loaded here, so it is unknown whether access widens: "
            "to replace it, add --acknowledge-widening."
        )
    elif isinstance(refused, Widens):
        reasons.append("access widens: if this is meant, add --acknowledge-widening.")
    if isinstance(refused, Widens | LosesPublishers) and refused.fewer:
        reasons.append(f"{refused.fewer.summary}: if this is meant, add --acknowledge-fewer-publishers.")
    if refused.cases:
        reasons.append(acceptance(refused.cases))
    return reasons


def _doubts(refused: Widens | LosesPublishers | CasesFail) -> dict[str, bool]:
    from app.history.refusals import LosesPublishers, Widens

    fewer = isinstance(refused, Widens | LosesPublishers) and refused.fewer is not None
    return {"widens": isinstance(refused, Widens), "fewer_publishers": fewer}


def _view(done: Published) -> dict[str, object]:
    return {
        "revision": done.revision,
        "parent": done.parent,
        "widens": done.difference.widens,
        "fewer_publishers": done.fewer is not None,
        "warnings": [done.fewer.summary] if done.fewer else [],
        "rows": list(done.rows),
        "files": [asdict(file) for file in done.files],
        "cases": asdict(done.cases),
    }


def _show(done: Published, directory: Path | None) -> None:
    if done.revision == done.parent:
        show(["Nothing changes: these files are the active policy."])
        return
    _show_access(done.difference)
    if done.fewer:
        show([[("FEWER PUBLISHERS", "bold yellow"), f"  {done.fewer.summary}."]])
    show([f"{file.name}  {file}" for file in done.files])
    show(report_lines(done.cases, directory))


def _show_waited(waited: FleetProgress) -> None:
    serving = plural(waited.serving, "live replica")
    show([f"{serving} {'serves' if waited.serving == 1 else 'serve'} it, after {waited.waited_seconds:.1f} s."])
    for each in waited.behind:
        why = f": {each.reason}" if each.reason else "."
        show([[("BEHIND", "bold red"), f"  {each.host} process {each.pid} serves {each.revision}{why}"]])


def _show_access(difference: AccessDiff) -> None:
    show(summary_lines(difference))
    if len(difference.changes) <= MAX_DETAILS:
        show([change_line(change) for change in difference.changes])
    show([f"UNKNOWN  {action} {resource}: too many rows to tell" for resource, action in difference.unknown])
