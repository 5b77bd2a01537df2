"""Failures that a person can fix, reported as one message instead of a traceback."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import NoReturn, ParamSpec, TypeVar

import rich_click as click

from app.logs import MAX_LISTED, first_lines
from app.policy.language.fault import PolicyRefused
from app.policy.language.write import PolicyNotWritten
from app.settings import Settings, SettingsError, load_local
from app.settings_variables import refuse_unknown

_P = ParamSpec("_P")
_R = TypeVar("_R")


def fail(message: str, *, code: int = 1) -> NoReturn:
    """Say what went wrong on standard error, unwrapped, so that it can be searched and copied; exit with `code`."""
    click.echo(f"authz: {message}", err=True)
    raise SystemExit(code)


def explained(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Turn errors of settings, database and policy into messages; the command then exits with 1.

    A variable that is no setting is an error of every command, also of one that reads no settings.
    """

    @wraps(command)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            refuse_unknown(Settings.model_fields)
            return command(*args, **kwargs)
        except SettingsError as error:
            fail("\nauthz: ".join(str(error).splitlines()))
        except PolicyNotWritten as error:
            fail(f"{error}.")
        except PolicyRefused as refused:
            faults = "\n".join(first_lines(refused.faults))
            if (left := len(refused.faults) - MAX_LISTED) > 0:
                faults += f"\n… and {left:,} more."
            fail(f"the policy has faults; `authz policy check` shows them in place.\n{faults}")
        except Exception as error:
            if message := _of_database(error):
                fail(message)
            raise

    return wrapped


def _of_database(error: Exception) -> str | None:
    """What to do about an error of the database; None for any other. Takes a tenth of a second to import."""
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
        more = " The space that was held for revocations is free now: try again." if freed else ""
        return f"the disk of the database is full: free some of it.{more}"
    if reason := reason_of(error.orig) if error.orig else None:
        return f"the database cannot be used: {reason}."
    if is_away(error):
        return f"the database does not answer: {error_name(error)}. Start it, or correct AUTHZ_DATABASE_URL."
    return None
