"""Reports failures that a user can fix as a message instead of a traceback."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import NoReturn, ParamSpec, TypeVar

import rich_click as click

from app.cli.terminal import printable
from app.identity.errors import CannotVerify
from app.logs import MAX_LISTED, first_lines
from app.policy.language.fault import PolicyRefused
from app.policy.language.write import PolicyNotWritten
from app.settings import Settings, SettingsError, load_local
from app.settings_variables import refuse_unknown

_P = ParamSpec("_P")
_R = TypeVar("_R")


def fail(message: str, *more: str, code: int = 1) -> NoReturn:
    """Print a message on standard error and exit with `code`; `more` are further lines.

    Lines are not wrapped, so that they can be copied. Characters that a terminal would interpret are escaped.
    """
    for line in (f"authz: {message}", *more):
        click.echo(printable(line), err=True)
    raise SystemExit(code)


def confirm(question: str) -> None:
    """Ask before an act that `--yes` does without a question; exit with 1 unless the answer is yes."""
    try:
        click.confirm(question, abort=True, err=True)
    except click.Abort:
        click.echo(err=True)  # the question has no line break
        fail("nothing was changed; --yes does it without the question.")


def explained(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorate a command: turn errors of settings, database, policy and files into messages and exit status 1.

    An unknown AUTHZ_ variable is an error of every command, even of one that reads no settings.
    """

    @wraps(command)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            refuse_unknown(Settings.model_fields)
            return command(*args, **kwargs)
        except SettingsError as error:
            first, *others = str(error).splitlines()
            fail(first, *(f"authz: {line}" for line in others))
        except PolicyNotWritten as error:
            fail(f"{error}.")
        except PolicyRefused as refused:
            faults = list(first_lines(refused.faults))
            if (left := len(refused.faults) - MAX_LISTED) > 0:
                faults.append(f"… and {left:,} more.")
            fail("the policy has faults; `authz policy check` shows them in place.", *faults)
        except CannotVerify as error:
            fail(error.detail)
        except Exception as error:
            if message := _database_message(error):
                fail(message)
            if isinstance(error, OSError) and error.filename is not None:
                fail(f"`{printable(str(error.filename))}` cannot be used: {(error.strerror or str(error)).lower()}.")
            raise

    return wrapped


def _database_message(error: Exception) -> str | None:
    """What to do about an error of the database; None for other errors. Its imports take a tenth of a second."""
    from sqlalchemy.exc import DBAPIError

    from app.db.availability import error_name, is_away
    from app.db.disk import DiskSpace, is_full
    from app.db.errors import DatabaseUnavailable, UnusableDatabase
    from app.db.reasons import reason_of

    if isinstance(error, UnusableDatabase):
        return str(error)
    if isinstance(error, DatabaseUnavailable):
        return f"the database cannot be used: {error}."
    if not isinstance(error, DBAPIError):
        return None
    if is_full(error):
        freed = DiskSpace(load_local().database_url).release()
        more = " The space reserved for revocations is free now: try again." if freed else ""
        return f"the disk of the database is full: free some of it.{more}"
    if reason := reason_of(error.orig) if error.orig else None:
        return f"the database cannot be used: {reason}."
    if is_away(error):
        return f"the database does not answer: {error_name(error)}. Start it, or correct AUTHZ_DATABASE_URL."
    return None
