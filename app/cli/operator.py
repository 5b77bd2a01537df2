"""The operator who runs a command, as the actor in the admin log."""

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
    # Not `getpass.getuser()`, which trusts LOGNAME and USER from the environment.
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except ImportError:  # on Windows
        import getpass

        return getpass.getuser()
    except KeyError:  # a container may run under a user id without a name
        return str(os.getuid())
