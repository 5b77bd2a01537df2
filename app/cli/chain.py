"""`authz decisions head` and `verify`: the hash chain over the decision log and the admin log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from app.cli.database import with_sessions
from app.cli.failure import explained, fail
from app.cli.terminal import Line, console, rfc3339, show, show_view

if TYPE_CHECKING:
    from app.audit.chain.entry import ChainHead
    from app.audit.chain.faults import ChainFault
    from app.cli.chain_view import ChainHeadView, ChainVerification, VerifiedLog
    from app.db.chain_check import CheckOptions, LogCheck
    from app.db.session import Sessions

DIFFERS = 3  # the exit status when a log differs from its chain
_MAX_LISTED = 10_000  # faults in a document
_LATE_SECONDS = 600.0  # after which unsealed rows mean that no server runs, or that none can seal


@click.command("head")
@click.option("--json", "as_json", is_flag=True, help="For programs: a JSON array.")
@explained
def head_command(as_json: bool) -> None:
    """Print the newest entry of the chain of each log, for `authz decisions verify --head`.

    Keep it where no administrator of the database can change it: only against a head that was kept elsewhere is it
    noticed when the newest rows are removed together with their entries.

    Example: authz decisions head >> /var/log/authz-heads
    """

    async def run(sessions: Sessions) -> list[ChainHeadView]:
        from app.audit.chain.entry import LOGS
        from app.audit.chain.faults import moment_of
        from app.cli.chain_view import ChainHeadView
        from app.db import chain_store

        found = []
        async with sessions() as session:
            for log in LOGS:
                if (newest := await chain_store.newest(session, log)) is not None:
                    key_id = newest.signature.key_id if newest.signature else None
                    found.append(ChainHeadView(log, str(newest.head), moment_of(newest.entry.at), key_id))
        return found

    heads = with_sessions(run)
    if as_json:
        show_view(heads)
    elif heads:
        show(f"{head.head}  {rfc3339(head.sealed_until)}  {_signer(head.key_id)}" for head in heads)
    else:
        click.echo("Nothing is sealed yet.")


@click.command("verify")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Compare only the rows of this day, in UTC.")
@click.option(
    "--public-key",
    "key_files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Check signatures with this public key, in PEM. Repeat it for each key that the servers have had.",
)
@click.option(
    "--head", "heads", multiple=True, metavar="HEAD", help="Check that the chain has a head that was printed earlier."
)
@click.option(
    "--unsigned-until",
    multiple=True,
    metavar="HEAD",
    help="Accept unsigned entries up to this head: the newest one of its log before the servers had a key. Repeat it "
    "for the other log.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs: a JSON document.")
@explained
def verify_command(
    day: datetime | None,
    key_files: tuple[Path, ...],
    heads: tuple[str, ...],
    unsigned_until: tuple[str, ...],
    as_json: bool,
) -> None:
    """Compare the decision log and the admin log with their hash chain, and name each row that differs.

    The exit status is 0 if everything is as it was sealed, 3 if something differs, and 1 if it cannot be checked.

    Example: authz decisions verify --public-key chain-public.pem --head decisions:812:9f86d0…
    """
    from app.audit.chain.signatures import UnusableKey, read_public_keys
    from app.db.chain_check import CheckOptions

    try:
        keys = read_public_keys(key_files)
    except UnusableKey as error:
        fail(f"{error}.")
    options = CheckOptions(
        keys,
        day=None if day is None else (day.date() - date(1970, 1, 1)).days,
        heads=[_head(text, "--head") for text in heads],
        unsigned_until=[_head(text, "--unsigned-until") for text in unsigned_until],
    )
    found = with_sessions(lambda sessions: _verify(sessions, options, as_json=as_json))
    if as_json:
        show_view(found)
    else:
        show(_report(found))
    if not found.ok:
        raise SystemExit(DIFFERS)


async def _verify(sessions: Sessions, options: CheckOptions, *, as_json: bool) -> ChainVerification:
    from app.audit.chain.entry import LOGS
    from app.cli.chain_view import ChainVerification
    from app.db.chain_check import LogCheck, check_log

    faults: list[ChainFault] = []
    logs = []
    # Progress is printed on standard error, and only on a terminal.
    with console(stderr=True).status("Verifying …") as status:

        def on_progress(check: LogCheck) -> None:
            status.update(f"Verifying … {check.log}: {check.entries:,} entries, {check.checked:,} rows")

        for log in LOGS:
            check = LogCheck(log)
            async for fault in check_log(sessions, check, options, on_progress):
                if as_json:
                    faults += [fault] if len(faults) < _MAX_LISTED else []
                else:
                    # A message about a row names its table, any other not the log.
                    log_name = f"{fault.log}: " if fault.row_id is None else ""
                    show([[(f"{fault.kind:<14}", "bold red"), f"{log_name}{fault.message}"]])
            logs.append(_view(check))
    return ChainVerification(not any(log.faults for log in logs), bool(options.keys), logs, faults)


def _view(check: LogCheck) -> VerifiedLog:
    from app.audit.chain.faults import moment_of
    from app.cli.chain_view import VerifiedLog

    return VerifiedLog(
        log=check.log,
        entries=check.entries,
        first=check.first,
        head=str(check.head) if check.head else None,
        sealed_until=None if check.sealed_until is None else moment_of(check.sealed_until),
        key_id=check.head_key,
        checked=check.checked,
        retired=check.retired,
        left_over=check.left_over,
        unsealed=check.unsealed,
        unsealed_since=None if check.unsealed_since is None else moment_of(check.unsealed_since),
        signed=check.signed,
        unsigned=check.unsigned,
        faults=check.faults,
        notes=check.notes,
    )


def _report(found: ChainVerification) -> Iterator[Line]:
    for log in found.logs:
        if log.head is None:
            yield f"{log.log}: nothing is sealed yet."
        else:
            state = f"{log.faults:,} fault{'s' * (log.faults > 1)}" if log.faults else "as sealed"
            yield [
                (f"{log.log}: {state}. ", "bold red" if log.faults else "green"),
                f"{_were(log.checked)} compared, in {_entries(log)}.",
            ]
            yield f"  The head is {log.head}, of {rfc3339(log.sealed_until)}, {_signer(log.key_id)}."
            yield f"  {_signatures(log, checked=found.signatures_checked)}"
            if found.signatures_checked and log.unsigned and log.faults:
                yield "  If the servers had no key then, name the newest of the unsigned entries with --unsigned-until."
        if log.retired:
            yield (
                f"  {_were(log.retired)} retired for their age or the size of the log, of which {log.left_over:,} "
                "are not deleted yet."
            )
        if log.unsealed and log.unsealed_since is not None:
            waited = (datetime.now(UTC) - log.unsealed_since).total_seconds()
            late = ": is a server running?" if waited > _LATE_SECONDS else "."
            yield f"  Rows not sealed yet: {log.unsealed:,}, since {rfc3339(log.unsealed_since)}{late}"
        yield from (f"  Note: {note}." for note in log.notes)


def _were(rows: int) -> str:
    return "1 row was" if rows == 1 else f"{rows:,} rows were"


def _entries(log: VerifiedLog) -> str:
    first = log.first or 1
    return f"entry {first}" if log.entries == 1 else f"entries {first} to {first + log.entries - 1}"


def _signatures(log: VerifiedLog, *, checked: bool) -> str:
    if checked:
        return f"Good signatures: {log.signed:,} of {log.entries:,}."
    if log.key_id is None:
        return "The head is not signed: an attacker with write access to the database can rewrite the chain."
    return "Signatures are not checked: name the public keys with --public-key."


def _signer(key_id: str | None) -> str:
    return "unsigned" if key_id is None else f"signed with the key {key_id}"


def _head(text: str, option: str) -> ChainHead:
    from app.audit.chain.entry import ChainHead

    try:
        return ChainHead.read(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None
