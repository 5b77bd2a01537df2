"""The organization in Clerk's session tokens, of version 1 and version 2.

Version 2 lists features (`fea`) and permissions (`o.per`), and has a number for each feature of the organization
(`o.fpm`), whose lowest bit is the first permission: https://clerk.com/docs/guides/sessions/session-tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from app.identity.organization import OrganizationMembership, malformed, membership_of

# Clerk's own tools write a role and a permission with this prefix, which is that of a fact here.
_PREFIX = "org:"
_NUMBER = re.compile(r"[0-9]{1,200}")  # a bit for each of 600 permissions
_ORG_SCOPES, _USER_SCOPES = ("o", "uo", "ou"), ("u",)


def clerk_membership(claims: Mapping[str, object]) -> OrganizationMembership | None:
    """The membership that a session token states; None if no organization is active. Raises Unauthenticated."""
    version = claims.get("v", 1)
    if version == 2 and type(version) is int:
        return _version_2(claims)
    if version == 1 and type(version) is int:
        return _version_1(claims)
    raise malformed()


def _version_1(claims: Mapping[str, object]) -> OrganizationMembership | None:
    role, stated = claims.get("org_role"), claims.get("org_permissions")
    permissions = [] if stated is None else stated
    if not isinstance(permissions, list) or not all(isinstance(each, str) for each in permissions):
        raise malformed()
    if claims.get("org_id") is None:
        if role or claims.get("org_slug") or permissions:
            raise malformed()
        return None
    if role == _PREFIX:
        raise malformed()
    plain_role = role.removeprefix(_PREFIX) if isinstance(role, str) else role
    plain = [permission.removeprefix(_PREFIX) for permission in permissions]
    return membership_of(claims["org_id"], plain_role, claims.get("org_slug"), plain)


def _version_2(claims: Mapping[str, object]) -> OrganizationMembership | None:
    organization = claims.get("o")
    if organization is None:
        return None
    if not isinstance(organization, Mapping):
        raise malformed()
    permissions = tuple(_permissions(claims.get("fea"), organization.get("per"), organization.get("fpm")))
    return membership_of(organization.get("id"), organization.get("rol"), organization.get("slg"), permissions)


def _permissions(fea: object, per: object, fpm: object) -> Iterator[str]:
    """The permissions `<feature>:<permission>` of the organization. Raises Unauthenticated."""
    features, names, numbers = _org_features(_items(fea)), _items(per), _items(fpm)
    if len(numbers) > len(features):
        raise malformed()
    for feature, number in zip(features, numbers, strict=False):
        if not _NUMBER.fullmatch(number) or int(number) >> len(names):
            raise malformed()
        yield from (f"{feature}:{name}" for bit, name in enumerate(names) if int(number) >> bit & 1)


def _org_features(entries: Sequence[str]) -> list[str]:
    """The features of the organization, in their order: `o.fpm` has no number for one of the user alone."""
    found = []
    for entry in entries:
        scope, colon, feature = entry.partition(":")
        if not colon or not feature or scope not in (*_ORG_SCOPES, *_USER_SCOPES):
            raise malformed()
        if scope in _ORG_SCOPES:
            found.append(feature)
    return found


def _items(claim: object) -> list[str]:
    """The items of a list separated by commas; none if the claim is absent or empty. Raises Unauthenticated."""
    if claim is None or claim == "":
        return []
    items = [item.strip(" ") for item in claim.split(",")] if isinstance(claim, str) else []
    if not all(items) or not items:
        raise malformed()
    return items
