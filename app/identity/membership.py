"""Reads the organization of a user from the claims of a token, as the issuer states it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from app.identity.clerk import clerk_membership
from app.identity.issuer import CLERK, ClaimPath, OrganizationClaims, TrustedIssuer, claim_at
from app.identity.org_facts import is_org_name
from app.identity.organization import OrganizationMembership, malformed, membership_of


def read_membership(
    claims: Mapping[str, object], issuer: TrustedIssuer, reserved_prefixes: tuple[str, ...]
) -> OrganizationMembership | None:
    """The membership that a token of the issuer states; None if no organization is active, or none is read.

    As a subject, the id of an organization and a role in it begin with the prefix of their issuer, and not with one of
    another issuer. Raises Unauthenticated.
    """
    rules = issuer.organizations
    if rules is None:
        return None
    found = clerk_membership(claims) if rules == CLERK else _mapped(claims, rules, issuer.permissions)
    if found is None:
        return None
    organization, prefix = found.organization, issuer.subject_prefix
    if organization.id.startswith(reserved_prefixes) or organization.role.startswith(reserved_prefixes):
        raise malformed()
    if not prefix:
        return found
    identity, role = prefix + organization.id, organization.role and prefix + organization.role
    if not is_org_name(identity) or (role and not is_org_name(role)):  # too long for a row
        raise malformed()
    return replace(found, organization=replace(organization, id=identity, role=role))


def _mapped(
    claims: Mapping[str, object], rules: OrganizationClaims, own_permissions: ClaimPath
) -> OrganizationMembership | None:
    identity, role, slug, permissions = (
        None if path is None else claim_at(claims, path)
        for path in (rules.id, rules.role, rules.slug, rules.permissions)
    )
    if identity is None:
        # The claim may be that of the permissions of every token.
        if role or slug or (permissions and rules.permissions != own_permissions):
            raise malformed()
        return None
    return membership_of(identity, role, slug, _permissions(permissions))


def _permissions(claim: object) -> list[str]:
    if isinstance(claim, str):
        return [permission for permission in claim.split(" ") if permission]
    permissions = [] if claim is None else claim
    if not isinstance(permissions, list) or not all(isinstance(each, str) for each in permissions):
        raise malformed()
    return permissions
