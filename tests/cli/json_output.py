"""Checks what commands print with --json against the schemas that `authz schema` prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache

from jsonschema import Draft202012Validator

from app.cli.json_documents import DOCUMENTS, json_schema


@lru_cache
def validator(command: str) -> Draft202012Validator:
    """The validator of a command's documents, with the formats of times."""
    schema = json_schema(command)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def check_json(words: Sequence[str], output: str) -> None:
    """Check the output of `authz` with these words, if it is JSON. Errors alone leave standard output empty."""
    prints_json = "--json" in words or tuple(words[:2]) == ("decisions", "export")
    if not output or not prints_json or "--help" in words:
        return
    (command,) = [name for name in DOCUMENTS if tuple(name.split()) == tuple(words[: len(name.split())])]
    lines = output.splitlines() if DOCUMENTS[command].is_lines else [output]
    for line in lines:
        validator(command).validate(json.loads(line))
