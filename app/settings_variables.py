"""Reader of the variables of settings, from the environment and `.env`. Unknown names are refused."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from io import StringIO
from ipaddress import ip_address
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

PREFIX = "AUTHZ_"
ENV_FILE = Path(".env")
# Variables that are not settings: the token of `authz policy diff`, and the directory that workers share.
NOT_SETTINGS = ("AUTHZ_TOKEN", "AUTHZ_RUN_DIR")
_PROTOCOLS = ("tcp", "udp", "sctp")


class SettingsError(Exception):
    """A setting is missing, invalid or unknown. Each line has the name of a variable and how to fix it."""


def read_variables() -> dict[str, str]:
    """Read the variables, by upper-case name, without service links. The environment takes precedence over `.env`.

    White space around a value is removed: secrets mounted from a file often end with a newline. Raises SettingsError.
    """
    sources: tuple[Mapping[str, str | None], ...] = (_read_file(ENV_FILE), os.environ)
    return {
        name.upper(): value.strip()
        for source in sources
        for name, value in source.items()
        if value is not None and name.upper().startswith(PREFIX) and not is_service_link(name.upper(), value.strip())
    }


def file_settings() -> frozenset[str]:
    """The upper-case names of the variables in `.env` that have the prefix of settings. Raises SettingsError."""
    return frozenset(name.upper() for name in _read_file(ENV_FILE) if name.upper().startswith(PREFIX))


def refuse_unknown(settings: Iterable[str]) -> None:
    """Raises SettingsError for variables that are not settings, such as misspelled ones, and for a setting that the
    environment or `.env` has in two spellings, such as `AUTHZ_PORT` and `authz_port`.

    `settings` are the names of the settings without the prefix. A variable without the prefix is refused if it is one
    letter away from a setting that is not set.
    """
    known = [PREFIX + name.upper() for name in settings]
    file_variables = _read_file(ENV_FILE)
    variables: dict[str, str | None] = {**file_variables, **os.environ}
    lines = [*spelled_twice(file_variables, known), *spelled_twice(os.environ, known)]
    lines += unknown_variables({name: value or "" for name, value in variables.items()}, known)
    if lines:
        raise SettingsError("\n".join(lines))


def spelled_twice(variables: Mapping[str, str | None], known: Iterable[str]) -> list[str]:
    """The messages for `known` settings that `variables` has in several spellings."""
    spellings: dict[str, list[str]] = {name: [] for name in known}
    for variable, value in variables.items():
        name = variable.upper()
        if name in spellings and value is not None and not is_service_link(name, value.strip()):
            spellings[name].append(variable)
    return [
        f"{', '.join(found)}: these are the same setting; keep one of them."
        for found in spellings.values()
        if len(found) > 1
    ]


def unknown_variables(variables: Mapping[str, str], known: Iterable[str]) -> list[str]:
    """The messages for variables that are not `known` but similar to a known one."""
    settings = list(known)
    names = [*settings, *NOT_SETTINGS]
    present = {name.upper() for name in variables}
    lines = []
    for variable, value in variables.items():
        name = variable.upper()
        if name in names or is_service_link(name, value.strip()):
            continue
        if name.startswith(PREFIX):
            near = [known_name for known_name in names if is_one_edit_away(name, known_name)]
            suggestion = (near or get_close_matches(name, names, 1, 0.0))[0]
            lines.append(f"{variable}: there is no such setting; did you mean {suggestion}?")
        else:
            for known_name in settings:
                if known_name not in present and is_one_edit_away(name, known_name):
                    lines.append(f"{variable}: did you mean {known_name}? If not, set {known_name} too.")
                    break
    return lines


def is_service_link(name: str, value: str) -> bool:
    """Whether Kubernetes sets this variable in containers for the address of a Service."""
    return any(pattern.fullmatch(name) and fits(value) for pattern, fits in _SERVICE_LINKS)


def is_one_edit_away(name: str, other: str) -> bool:
    """Whether the names differ by one letter that is missing, added, replaced, or swapped with the next."""
    if name == other or abs(len(name) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(name), len(other)) and name[start] == other[start]:
        start += 1
    left, right = name[start:], other[start:]
    swapped = len(left) > 1 and left[:2] == right[1::-1] and left[2:] == right[2:]
    return left[1:] == right[1:] or left[1:] == right or left == right[1:] or swapped


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5


def _is_link(text: str) -> bool:
    protocol, separator, rest = text.partition("://")
    host, colon, port = rest.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    return bool(separator and colon) and protocol in _PROTOCOLS and _is_address(host) and _is_port(port)


# The variables that Kubernetes sets for a Service: the end of the name, and a check of the value.
_SERVICE_LINKS: tuple[tuple[re.Pattern[str], Callable[[str], bool]], ...] = tuple(
    (re.compile(rf"[A-Z0-9_]+_{end}"), fits)
    for end, fits in (
        ("SERVICE_HOST", _is_address),
        ("SERVICE_PORT(?:_[A-Z0-9_]+)?", _is_port),
        ("PORT(?:_[0-9]{1,5}_(?:TCP|UDP|SCTP))?", _is_link),
        ("PORT_[0-9]{1,5}_(?:TCP|UDP|SCTP)_PROTO", _PROTOCOLS.__contains__),
        ("PORT_[0-9]{1,5}_(?:TCP|UDP|SCTP)_PORT", _is_port),
        ("PORT_[0-9]{1,5}_(?:TCP|UDP|SCTP)_ADDR", _is_address),
    )
)


def _read_file(file: Path) -> dict[str, str | None]:
    """Read the variables of a `.env` file, if there is one. Raises SettingsError, also for a line that is invalid."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise SettingsError(f"{file}: is not UTF-8; save it as UTF-8.") from None
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror}.") from None
    for binding in parse_stream(StringIO(text)):
        broken = binding.error or (binding.key is not None and binding.value is None)
        words = re.match(r"\s*(?:export\s+)?(\w+)", binding.original.string)
        if broken and words and words[1].upper().startswith(PREFIX):
            raise SettingsError(f"{file}:{binding.original.line}: {words[1]}: write {words[1]}=value.")
    return dict(dotenv_values(stream=StringIO(text)))
