"""Finds the policy directory of a command, and builds its snapshot for the routes of the application."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from app.cli.failure import fail
from app.cli.policy.findings_text import finding_lines
from app.cli.terminal import plural, show, show_view

if TYPE_CHECKING:
    from app.policy.engine.snapshot import Snapshot
    from app.policy.language.fault import Fault
    from app.policy.language.load import Policy


def policy_directory(given: Path | None) -> Path:
    """The directory given, else AUTHZ_POLICY_DIR, else `policies`. Raises UsageError, or exits with 2, without one."""
    from app.settings import load_local

    directory = given or load_local().policy_dir
    fault = directory_fault(directory)
    if fault and given:
        raise click.UsageError(f"{fault}: name one, or set AUTHZ_POLICY_DIR.")
    if fault:
        fail(f"AUTHZ_POLICY_DIR: {fault}: set it, or name one.", code=2)
    return directory


def directory_fault(directory: Path) -> str | None:
    """Why a path is not a policy directory; None if it is one."""
    fault = fault_of_path(directory)
    return None if fault is None else f"the policy directory `{directory}` {fault}"


def fault_of_path(path: Path) -> str | None:
    """Why a path is not a directory, as the end of a sentence; None if it is one."""
    # Not pathlib's own: they raise for a name that is too long, and for a folder that may not be searched.
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the name
        return "does not exist"
    except OSError as error:
        return f"cannot be read: {(error.strerror or str(error)).lower()}"
    return None if stat.S_ISDIR(mode) else "is not a directory"


def issuer_faults(policy: Policy) -> list[Fault]:
    """The faults of a policy's issuers together with AUTHZ_ISSUER; none if that is not set here."""
    from app.policy.language.issuers import deployment_faults
    from app.settings import stated_issuer

    own = stated_issuer()
    return deployment_faults(policy.source, policy.issuers, own) if own else []


def snapshot_of(directory: Path) -> Snapshot:
    """Build the policy of a directory. Raises PolicyRefused with every fault."""
    from app.cli.routes import route_table
    from app.policy.engine.live import build
    from app.policy.language.load import load

    return build(load(directory), route_table())


def sound_snapshot(directory: Path, *, as_json: bool) -> Snapshot:
    """Build the policy of a directory; if it has faults, print them and exit with 1."""
    from app.policy.language.fault import PolicyRefused

    try:
        return snapshot_of(directory)
    except PolicyRefused as refused:
        show_faults(refused.faults, directory, as_json=as_json)
        raise SystemExit(1) from None


def show_faults(faults: tuple[Fault, ...], directory: Path, *, as_json: bool) -> None:
    """Print faults with their place; only the first of each kind if there are many."""
    from app.cli.policy.faults_view import PolicyFaults
    from app.policy.analysis.findings import Finding
    from app.policy.language.fault_view import fault_views

    if as_json:
        show_view(PolicyFaults(False, str(directory), fault_views(faults)))
        return
    found = [Finding("error", fault) for fault in faults]
    show(finding_lines(found, directory, f"`authz policy check --all {directory}`"))
    files = len({fault.file for fault in faults})
    show([[(plural(len(faults), "fault"), "bold red"), f" in {plural(files, 'file')}; this policy would be refused."]])
