"""`authz siem`: shows how far the logs were delivered to a SIEM, and forgets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich_click as click

from app.cli.database import with_session, with_sessions
from app.cli.failure import explained, fail
from app.cli.terminal import quoted, rfc3339, show, show_view

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from app.db.session import Sessions
    from app.siem.status import SiemStatus


@click.group("siem")
def siem_group() -> None:
    """Show or forget the delivery of the logs to a SIEM.

    Example: authz siem status
    """


@siem_group.command("status")
@click.option("--json", "as_json", is_flag=True, help="For programs: a JSON list.")
@explained
def status_command(*, as_json: bool) -> None:
    """Show how far each log was delivered to each destination, and the last error.

    The exit code is 1 while a delivery fails, so that a monitor can run it.

    Example: authz siem status
    """

    async def run(sessions: Sessions) -> list[SiemStatus]:
        from app.siem.status import read_statuses

        return await read_statuses(sessions)

    statuses = with_sessions(run)
    if as_json:
        show_view(statuses)
    elif not statuses:
        click.echo("Nothing was ever delivered: set AUTHZ_SIEM_OTLP_URL or AUTHZ_SIEM_CLOUDEVENTS_URL of a server.")
    else:
        show(line for status in statuses for line in _lines(status))
    if any(status.error for status in statuses):
        raise SystemExit(1)


@siem_group.command("forget")
@click.argument("destination", type=click.Choice(["otlp", "cloudevents"]))
@explained
def forget_command(destination: str) -> None:
    """Forget what was delivered to DESTINATION.

    Remove it from the settings of all servers first. When it is set again, the delivery begins with the oldest record
    of the logs.

    Example: authz siem forget otlp
    """

    async def run(session: AsyncSession) -> int:
        from app.db.siem_cursors import delete_cursors

        deleted = await delete_cursors(session, destination)
        await session.commit()
        return deleted

    if not with_session(run):
        fail(f"nothing was ever delivered to {destination}.")
    click.echo(f"Forgot what was delivered to {destination}.")


def _lines(status: SiemStatus) -> list[str]:
    lag = "" if status.lag_seconds is None else f", the oldest {status.lag_seconds:.0f} s old"
    pending = f"up to {status.pending:,}" if status.pending else "0"
    parts = [f"{status.destination:<12} {status.log:<10} {status.delivered:,} delivered, {pending} to deliver{lag}"]
    if status.refused:
        parts.append(f", {status.refused} refused")
    if status.missed:
        parts.append(f", {status.missed} deleted before they were delivered")
    lines = ["".join(parts)]
    if status.error and status.failed_since is not None:
        lines.append(f"    fails since {rfc3339(status.failed_since)}: {quoted(status.error)}")
    return lines
