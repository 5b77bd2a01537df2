"""The options that name the owner of keys: a user, or an organization."""

from __future__ import annotations

import rich_click as click

ORG = click.option("--org", help="Only keys of the organization with this id.")


def owner_of(owner: str | None, organization: str | None) -> str | None:
    """The owner that the options name; None for any. Raises UsageError."""
    from app.identity.org_facts import is_org_name, owner_of_keys

    if organization is None:
        return owner
    if owner is not None:
        raise click.UsageError("give one of --owner and --org.")
    if not is_org_name(organization):
        raise click.UsageError("--org takes the id of an organization, such as org_2abc.")
    return owner_of_keys(organization)
