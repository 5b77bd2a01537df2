"""Messages for invalid settings, with the name of the variable or option and never its value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import ErrorDetails

from app.settings_variables import PREFIX

_PLAIN = {
    "int_parsing": "write a whole number",
    "int_from_float": "write a whole number",
    "int_type": "write a whole number",
    "float_parsing": "write a number",
    "float_type": "write a number",
    "finite_number": "write a finite number",
    "bool_parsing": "write true or false",
    "bool_type": "write true or false",
    "greater_than_equal": "write at least {ge:g}",
    "less_than_equal": "write at most {le:g}",
    "literal_error": "write {expected}",
}


def error_message(error: ErrorDetails, overrides: Mapping[str, Any]) -> str:
    """The message of an error, on one line, without the value, which may be a secret in the wrong variable."""
    if not error["loc"]:
        return error["msg"].removeprefix("Value error, ")  # of several settings, with their names
    name, context = str(error["loc"][0]), error.get("ctx", {})
    variable = f"--{name.replace('_', '-')}" if name in overrides else PREFIX + name.upper()
    if error["type"] == "missing":
        return f"{variable}: not set"
    if error["input"] == "":
        return f"{variable}: is empty: give it a value, or remove the variable"
    member = next((f"entry {part + 1}: " for part in error["loc"][1:] if isinstance(part, int)), "")
    if error["type"] in ("too_short", "too_long", "string_too_short", "string_too_long"):
        bound = f"at least {context['min_length']}" if "min_length" in context else f"at most {context['max_length']}"
        return f"{variable}: {member}write {bound} characters"
    plain = _PLAIN.get(error["type"])
    message = plain.format_map(context) if plain else error["msg"].removeprefix("Value error, ")
    return f"{variable}: {member}{message}"
