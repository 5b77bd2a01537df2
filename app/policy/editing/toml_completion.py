"""Completions of the keys in the files of TOML tables: the catalogue of permissions, and the issuers."""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.policy.editing.place import CompletionPlace
from app.policy.editing.position import TextCursor
from app.policy.editing.suggestions import Suggestion
from app.policy.language import issuers, permissions

# By file, each key as it is written, and what it means.
TABLE_KEYS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    permissions.FILE: {
        "title": ('title = "', "a name for people, on one line"),
        "grants": ('grants = "', "what holders may do, on one line"),
        "deprecated": ("deprecated = true", "warn of rows that still name it"),
    },
    issuers.FILE: {
        "issuer": ('issuer = "https://', "the `iss` of its tokens"),
        "jwks_url": ('jwks_url = "https://', "the address of its keys"),
        "audiences": ('audiences = ["', "the `aud` that its tokens must have"),
        "authorized_parties": ('authorized_parties = ["', "the clients (`azp`) whose tokens are accepted"),
        "subject_prefix": ('subject_prefix = "', "what its subjects begin with, such as `partner:`"),
        "types": ('types = ["', "the types (`typ`) that its tokens may have"),
        "clock_skew_seconds": ("clock_skew_seconds = ", "how far its clock may be off"),
        "permissions": ("permissions = ", "the claim with permissions, or the path to it"),
        "delegated": ("delegated = ", "whether its tokens are those of apps on behalf of users"),
        "scopes": ("scopes = ", "the claim with the scopes of an app"),
        "own_clients": ('own_clients = ["', "clients that are no third-party apps"),
        "organizations": ("organizations = ", "the claims with the organization of a user"),
    },
}
_KEY = re.compile(r"[a-z_]*\Z")
_WRITTEN = re.compile(r"^[ \t]*([a-z_]+)[ \t]*=", re.MULTILINE)


def table_suggestions(file: str, text: str, cursor: TextCursor) -> CompletionPlace | None:
    """The keys that a table of the file lacks, where a key can be; None elsewhere."""
    if not _KEY.match(cursor.text.strip()):
        return None
    lines = text.split("\n")
    before, after = lines[: cursor.line], lines[cursor.line :]
    start = next((index for index in range(len(before) - 1, -1, -1) if before[index].lstrip().startswith("[")), None)
    if start is None:
        return None
    end = next((index for index, line in enumerate(after) if line.lstrip().startswith("[")), len(after))
    written = _WRITTEN.findall("\n".join([*before[start:], *after[:end]]))
    first = len(cursor.text) - len(cursor.text.lstrip())
    keys = TABLE_KEYS[file].items()
    found = [Suggestion(value, "keyword", what) for key, (value, what) in keys if key not in written]
    return CompletionPlace(first, len(cursor.text), found)
