"""The facts of a member of an organization, which only the server states."""

from __future__ import annotations

import re
from collections.abc import Iterable

ORG, ORG_ROLE = "org:", "org-role:"
ORG_FACTS = (ORG, ORG_ROLE)
MAX_ORG_NAME = 200

# Visible ASCII that a row can contain: no space, quote, comma, `#`, `*` or `|`.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@/~+=-]*")
_FACT = re.compile(rf"(?:on-behalf::)?{ORG}({_NAME.pattern})")


def is_org_name(name: str) -> bool:
    """Whether a text can be the id of an organization, or a role in one."""
    return len(name) <= MAX_ORG_NAME and _NAME.fullmatch(name) is not None


def owner_of_keys(organization: str) -> str:
    """The subject of the keys of an organization, which is that of no user: a `sub` never begins like this."""
    return ORG + organization


def organization_in(held: Iterable[str]) -> str | None:
    """The id of the organization among what a caller holds, also of the user of an app; None without one."""
    return next((match[1] for grant in held if (match := _FACT.fullmatch(grant))), None)


def is_org_fact(grant: str) -> bool:
    """Whether a grant names an organization or a role in one."""
    return any(grant.startswith(family) and is_org_name(grant.removeprefix(family)) for family in ORG_FACTS)
