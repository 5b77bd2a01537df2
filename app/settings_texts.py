"""Types of settings that people see: the name of the API, and the prefix of tokens."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from app.identity.token_format import MAX_PREFIXES, check_prefix
from app.settings_values import each, not_empty


def one_line(value: str) -> str:
    """Check that a text has no control characters, among them those that reorder what is shown."""
    if not not_empty(value).isprintable():
        raise ValueError("contains a line break or a control character: remove it")
    return value


def few(value: tuple[str, ...]) -> tuple[str, ...]:
    """Check that there are prefixes, but not more than each token should be compared with."""
    if not 0 < len(value) <= MAX_PREFIXES:
        raise ValueError(f"name 1 to {MAX_PREFIXES} prefixes, the one of new tokens first")
    return value


Title = Annotated[str, Field(max_length=100), AfterValidator(one_line)]
# Separated by commas, not written as JSON.
TokenPrefixes = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(each(check_prefix)), BeforeValidator(not_empty), AfterValidator(few)
]
