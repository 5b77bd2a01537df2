"""Formats the result of `authz policy publish` and `rollback`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from app.cli.failure import fail
from app.cli.policy.access_text import MAX_DETAILS, change_line, summary_lines
from app.cli.policy.cases_text import acceptance, report_lines
from app.cli.terminal import plural, show, show_view

if TYPE_CHECKING:
    from app.history.acknowledgements import Unacknowledged
    from app.history.fleet import FleetProgress
    from app.history.published import Published
    from app.policy.analysis.access_change import AccessDiff


def refuse(refused: Unacknowledged, directory: Path | None, *, as_json: bool) -> NoReturn:
    """Print what must be acknowledged before the policy is published. `directory` holds its files, if any does."""
    reasons = _reasons(refused)
    if as_json:
        from app.cli.policy.publish_view import PublicationRefusal

        show_view(PublicationRefusal(False, refused.widens, refused.fewer is not None, reasons, refused.cases))
    else:
        _show_access(refused.difference)
        show(report_lines(refused.cases, directory) if refused.cases else [])
    _fail(reasons)


def print_published(done: Published, waited: FleetProgress | None, directory: Path | None, *, as_json: bool) -> None:
    """Print what was published; exit with 1 if a live replica does not serve it in time."""
    if as_json:
        from app.cli.extended_view import extended
        from app.cli.policy.publish_view import PublicationResult
        from app.history.published_view import published_view

        is_new = done.revision != done.parent
        show_view(extended(PublicationResult, published_view(done, waited), published=is_new))
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


def print_trial(trial: Published, refused: Unacknowledged | None, directory: Path, *, as_json: bool) -> None:
    """Print what a publication would change; exit with 1 if it would be refused."""
    reasons = _reasons(refused) if refused else []
    if as_json:
        from app.cli.extended_view import extended
        from app.cli.policy.publish_view import PublicationResult
        from app.history.published_view import published_view

        show_view(extended(PublicationResult, published_view(trial), published=False, reasons=reasons))
    else:
        _show(trial, directory)
        if trial.revision != trial.parent and not refused:
            show([[("Would publish", "bold green"), f" revision {trial.revision}, after {trial.parent}."]])
    if reasons:
        _fail([f"this would be refused: {reason}" for reason in reasons])


def _fail(reasons: Sequence[str]) -> NoReturn:
    """Exit with a line for each reason, so that each option can be copied."""
    first, *others = reasons
    fail(first, *(f"authz: {reason}" for reason in others))


def _reasons(refused: Unacknowledged) -> list[str]:
    """The reasons of the refusal, each with the option that acknowledges it."""
    reasons: list[str] = []
    if refused.replaces:
        reasons.append(
            f"the newest policy, {refused.replaces}, cannot be loaded here, so it is unknown whether access widens: "
            "to replace it, confirm with --acknowledge-widening."
        )
    elif refused.widens:
        reasons.append("access widens: confirm with --acknowledge-widening.")
    if refused.fewer:
        reasons.append(f"{refused.fewer.summary}: confirm with --acknowledge-fewer-publishers.")
    if refused.cases:
        reasons.append(acceptance(refused.cases))
    return reasons


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
