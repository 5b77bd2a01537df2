"""The facts of a member of an organization, which only the server states."""

from __future__ import annotations

import re

ORG, ORG_ROLE = "org:", "org-role:"
ORG_FACTS = (ORG, ORG_ROLE)
MAX_ORG_NAME = 200

# Visible ASCII that a row can contain: no space, quote, comma, `#`, `*` or `|`.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@/~+=-]*")
_FACT = rf"(?:on-behalf::)?{ORG}({_NAME.pattern})"
# No other text of a compact JSON list has a quote after its bracket or a comma, since quotes in strings are escaped.
_MEMBER_OF_LIST = re.compile(rf'[\[,]"{_FACT}"')


def is_org_name(name: str) -> bool:
    """Whether a text can be the id of an organization, or a role in one."""
    return len(name) <= MAX_ORG_NAME and _NAME.fullmatch(name) is not None


def owner_of_keys(organization: str) -> str:
    """The subject of the keys of an organization, which is that of no user: a `sub` never begins like this."""
    return ORG + organization


def organization_of_owner(subject: str) -> str | None:
    """The id of the organization whose keys have this subject; None for a user."""
    name = subject.removeprefix(ORG)
    return name if subject.startswith(ORG) and is_org_name(name) else None


def organization_in(held: str) -> str | None:
    """The id of the organization among what a caller holds, also of the user of an app; None without one.

    `held` is a compact JSON list, which is searched as a text: a log of many decisions is not to read each list.
    """
    match = _MEMBER_OF_LIST.search(held)
    return match[1] if match else None


def is_org_fact(grant: str) -> bool:
    """Whether a grant names an organization or a role in one."""
    return any(grant.startswith(family) and is_org_name(grant.removeprefix(family)) for family in ORG_FACTS)
