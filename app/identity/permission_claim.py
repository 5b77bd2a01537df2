"""The `permissions` claim of a token."""

from __future__ import annotations

from collections.abc import Sequence


def parse_permissions(claim: object) -> Sequence[str]:
    """The permissions in a claim: a list of strings, or one string separated by U+0020.

    Any other claim, and a list with any other item, gives no permissions.
    """
    if isinstance(claim, str):
        return [permission for permission in claim.split(" ") if permission]
    if isinstance(claim, list) and all(isinstance(item, str) for item in claim):
        return claim
    return ()
