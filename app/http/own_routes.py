"""The handlers of a team's own API, which are served behind the policy like those of the application."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import cast

from litestar.exceptions import ImproperlyConfiguredException
from litestar.types import ControllerRouterHandler

from app.http.door.route_table import CannotMount
from app.settings_variables import SettingsError

_VARIABLE = "AUTHZ_ROUTES"
_ADDRESS = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


def own_handlers(address: str | None) -> list[ControllerRouterHandler]:
    """The handlers at an address such as `my_api.routes:ROUTES`: a list of handlers, controllers and routers, or one.

    A module is looked up in the working directory too. Raises SettingsError.
    """
    if address is None:
        return []
    if not _ADDRESS.fullmatch(address):
        raise SettingsError(f"{_VARIABLE}: write a module and a name in it, such as `my_api.routes:ROUTES`")
    module_name, _, name = address.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # last, so that no file there can replace a module that is installed
    try:
        module = import_module(module_name)
    except Exception as error:
        raise SettingsError(f"{_VARIABLE}: {_import_fault(module_name, error, here)}") from error
    found = getattr(module, name, None)
    if found is None:
        names = ", ".join(sorted(each for each in vars(module) if each.isupper())) or "none in capitals"
        raise SettingsError(f"{_VARIABLE}: the module `{module_name}` has no `{name}`; it has {names}")
    handlers = list(found) if isinstance(found, Sequence) and not isinstance(found, str) else [found]
    if not handlers:
        raise SettingsError(f"{_VARIABLE}: `{address}` is empty: write at least one handler into it")
    return cast("list[ControllerRouterHandler]", handlers)


@contextmanager
def refused_routes(address: str | None) -> Iterator[None]:
    """Report the errors of an application that has been assembled with those handlers as SettingsError."""
    try:
        yield
    except (ImproperlyConfiguredException, CannotMount) as error:
        if address is None:
            raise
        raise SettingsError(f"{_VARIABLE}: `{address}`: {getattr(error, 'detail', error)}") from error


def _import_fault(module: str, error: Exception, here: str) -> str:
    """Why a module cannot be imported, with the place of the error in it."""
    if isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}."):
        return f"there is no module `{error.name}`, neither installed nor in {here}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    place = f"{frames[-1].filename}:{frames[-1].lineno}: " if len(frames) > 1 else ""
    if isinstance(error, SyntaxError):
        place = f"{error.filename}:{error.lineno}: "
    return f"{place}{type(error).__name__}: {error}"
