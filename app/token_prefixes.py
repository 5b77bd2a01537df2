"""The prefixes of this deployment's tokens, for all that creates, accepts, documents or redacts them."""

from __future__ import annotations

from collections.abc import Sequence

from app.audit import sanitize
from app.identity import token_format


def use_token_prefixes(prefixes: Sequence[str]) -> None:
    """Use these prefixes in this process: new tokens have the first, and those with another are accepted."""
    token_format.configure(prefixes)
    sanitize.configure(prefixes)
