"""Types of settings: each normalizes equivalent values, and refuses others with a message that says what to write.

Those of addresses are in `app.settings_addresses`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from app.audit.chain.signatures import UnusableKey, read_signing_key

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OWN_HEADERS = (
    *("accept", "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect"),
    *("host", "te", "trailer", "transfer-encoding", "upgrade"),
)
_VISIBLE = frozenset(string.ascii_letters + string.digits + string.punctuation)
_T = TypeVar("_T")


def shown(value: str) -> str:
    """A value for a message, escaped and truncated; a value that may contain a password is not shown."""
    if "@" in value:
        return "the value"
    return f"`{value[:60].encode('unicode_escape').decode()}{'…' if len(value) > 60 else ''}`"


def split(value: object) -> object:
    """Split a comma-separated list."""
    if not isinstance(value, str):
        return value
    if value.startswith(("[", "{")):
        raise ValueError("write a list separated by commas, without brackets and quotes")
    parts = tuple(part.strip() for part in value.split(","))
    if value and not any(parts):
        raise ValueError("is empty: write a list separated by commas")
    return tuple(dict.fromkeys(part for part in parts if part))


def each(form: Callable[[str], _T]) -> Callable[[object], object]:
    """A function that splits a comma-separated list, and reads each part with `form`."""

    def convert(value: object) -> object:
        parts = split(value)
        if not isinstance(parts, tuple):
            return parts
        return tuple(dict.fromkeys(form(one_word(part)) if isinstance(part, str) else part for part in parts))

    return convert


def one_word(value: str) -> str:
    """Check that a text has no spaces, control characters or surrounding quotes."""
    not_empty(value)
    if value[0] in "\"'" and value[0] == value[-1]:
        raise ValueError("has quotes around it, which would be part of it: remove them")
    if any(character.isspace() or not character.isprintable() for character in value):
        raise ValueError("contains a space or a control character: remove it")
    return value


def not_empty(value: _T) -> _T:
    """Check that a text is not empty."""
    if value == "" or (isinstance(value, SecretStr) and not value):
        raise ValueError("is empty: give it a value, or remove the variable")
    return value


def secret(value: SecretStr) -> SecretStr:
    """Check that a secret can be sent in a header."""
    if not _VISIBLE.issuperset(value.get_secret_value()):
        raise ValueError("a secret is sent in a header, so write visible ASCII characters only")
    return value


def auth_header(value: SecretStr) -> SecretStr:
    """A header that authenticates, as `Name: value`."""
    name, separator, content = value.get_secret_value().partition(":")
    if not separator or not _HEADER_NAME.fullmatch(name) or not content.strip():
        raise ValueError("write a header, such as `Authorization: Bearer …`")
    if name.lower() in _OWN_HEADERS:
        raise ValueError("write a header that authenticates; this one is set by the client")
    if not _VISIBLE.issuperset(content.replace(" ", "")):
        raise ValueError("a header has visible ASCII characters and spaces only")
    return value


def header_of(value: SecretStr) -> tuple[str, str]:
    """The name and the content of an `auth_header`."""
    name, _, content = value.get_secret_value().partition(":")
    return name, content.strip()


def signing_key_file(value: Path) -> Path:
    """A file with a private key for the hash chain of the logs."""
    try:
        read_signing_key(value)
    except UnusableKey as error:
        raise ValueError(str(error)) from None
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror}") from None  # the value may be the key itself
    return value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _level(value: object) -> object:
    lowered = _lower(value)
    return "warning" if lowered == "warn" else lowered


Text = Annotated[str, AfterValidator(one_word)]
AuthHeader = Annotated[SecretStr, AfterValidator(auth_header)]
# Lists are separated by commas, not written as JSON.
Audiences = Annotated[tuple[str, ...], NoDecode, BeforeValidator(each(one_word)), BeforeValidator(not_empty)]
ClientIds = Audiences
SigningKeyFile = Annotated[Path, BeforeValidator(not_empty), AfterValidator(signing_key_file)]
CaseFolded = BeforeValidator(_lower)
LevelName = BeforeValidator(_level)
