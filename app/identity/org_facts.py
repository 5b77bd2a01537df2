"""The facts of a member of an organization, which only the server states."""

from __future__ import annotations

import re

ORG, ORG_ROLE = "org:", "org-role:"
ORG_FACTS = (ORG, ORG_ROLE)
MAX_ORG_NAME = 200

# Visible ASCII that a row can contain: no space, quote, comma, `#`, `*` or `|`.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@/~+=-]*")


def is_org_name(name: str) -> bool:
    """Whether a text can be the id of an organization, or a role in one."""
    return len(name) <= MAX_ORG_NAME and _NAME.fullmatch(name) is not None


def is_org_fact(grant: str) -> bool:
    """Whether a grant names an organization or a role in one."""
    return any(grant.startswith(family) and is_org_name(grant.removeprefix(family)) for family in ORG_FACTS)
