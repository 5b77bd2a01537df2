"""The variables that settings are read from: the environment and `.env`, with every unknown name refused."""

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
# Read by the program itself and no setting: the token of `authz policy diff`, the directory that workers share.
NOT_SETTINGS = ("AUTHZ_TOKEN", "AUTHZ_RUN_DIR")
_PROTOCOLS = ("tcp", "udp", "sctp")


class SettingsError(Exception):
    """A setting is missing, wrong or unknown. Each line names the variable and how to fix it."""


def read_variables() -> dict[str, str]:
    """The variables, by upper-case name, without service links; one of the environment wins over one of `.env`.

    A blank or newline around a value is removed, as a secret mounted from a file has one. Raises SettingsError.
    """
    sources: tuple[Mapping[str, str | None], ...] = (_read_file(ENV_FILE), os.environ)
    return {
        name.upper(): value.strip()
        for source in sources
        for name, value in source.items()
        if value is not None and name.upper().startswith(PREFIX) and not is_service_link(name.upper(), value.strip())
    }


def refuse_unknown(settings: Iterable[str]) -> None:
    """Raise SettingsError for each variable that is no setting, such as a misspelled one, in the environment or `.env`.

    So it does for a setting that is in either of them in two spellings, such as `AUTHZ_PORT` and `authz_port`.

    `settings` are the names of the settings, without the prefix. A name without the prefix is refused when it is one
    letter away from a setting that is not set.
    """
    known = [PREFIX + name.upper() for name in settings]
    of_file = _read_file(ENV_FILE)
    found: dict[str, str | None] = {**of_file, **os.environ}
    lines = [*spelled_twice(of_file, known), *spelled_twice(os.environ, known)]
    lines += unknown_variables({name: value or "" for name, value in found.items()}, known)
    if lines:
        raise SettingsError("\n".join(lines))


def spelled_twice(variables: Mapping[str, str | None], known: Iterable[str]) -> list[str]:
    """A line for each of the `known` settings that stands there in several spellings: only one of them could apply."""
    spellings: dict[str, list[str]] = {name: [] for name in known}
    for given, value in variables.items():
        name = given.upper()
        if name in spellings and value is not None and not is_service_link(name, value.strip()):
            spellings[name].append(given)
    return [
        f"{', '.join(given)}: these are one setting; keep one of them." for given in spellings.values() if given[1:]
    ]


def unknown_variables(variables: Mapping[str, str], known: Iterable[str]) -> list[str]:
    """A line for each variable that is none of the `known` ones but looks as if it was meant to be one."""
    settings = list(known)
    names = [*settings, *NOT_SETTINGS]
    present = {name.upper() for name in variables}
    lines = []
    for given, value in variables.items():
        name = given.upper()
        if name in names or is_service_link(name, value.strip()):
            continue
        if name.startswith(PREFIX):
            near = [known_name for known_name in names if is_one_edit_away(name, known_name)]
            meant = (near or get_close_matches(name, names, 1, 0.0))[0]
            lines.append(f"{given}: there is no such setting; did you mean {meant}?")
        else:
            for known_name in settings:
                if known_name not in present and is_one_edit_away(name, known_name):
                    lines.append(f"{given}: did you mean {known_name}? If not, set {known_name} too.")
                    break
    return lines


def is_service_link(name: str, value: str) -> bool:
    """Whether this is a variable by which Kubernetes tells a container where a Service is."""
    return any(pattern.fullmatch(name) and fits(value) for pattern, fits in _SERVICE_LINKS)


def is_one_edit_away(name: str, other: str) -> bool:
    """Whether one letter was left out, added, replaced, or swapped with its neighbour."""
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


# What Kubernetes sets in every container for a Service, by the end of the name, and the form of each value.
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
    """The variables of a `.env` file, if there is one. An unreadable line with one of our names is an error."""
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
