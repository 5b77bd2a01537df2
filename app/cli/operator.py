"""The operator who runs a command, as the author of what it does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.audit.actor import Actor


def operator() -> Actor:
    """The account of the operating system that runs this process."""
    from app.audit.actor import Actor

    return Actor(f"cli:{_account()}", door="cli")


def _account() -> str:
    # Not `getpass.getuser()`: it believes LOGNAME and USER, which any caller sets.
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except ImportError:  # on Windows
        import getpass

        return getpass.getuser()
    except KeyError:  # a container may run under a number that has no name
        return str(os.getuid())
