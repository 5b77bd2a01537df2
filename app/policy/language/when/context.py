"""The variables of a decision's conditions, built only when a condition reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from app.identity.organization import Organization
from app.identity.principal import Principal, acting_party
from app.policy.language.when.shape import NO_ORG, Action, Org, Properties, Request, Resource, Subject
from app.policy.language.when.shared import SharedReads

_NO_PROPERTIES: Properties = MappingProxyType({})
_TYPES = {"jwt": "user", "api_key": "key", "oauth": "app", "anonymous": "anonymous"}


class LazyContext(dict[str, object]):
    """The six variables of one decision, each built and kept when a condition first reads it.

    A decision without conditions builds nothing, and all conditions see the same values. `shared` are the reads that
    several decisions have in common.
    """

    shared: SharedReads | None = None

    def __init__(
        self,
        *,
        subject: Callable[[], Subject],
        resource: Callable[[], Resource],
        action: Callable[[], Action],
        request: Callable[[], Request],
        params: Callable[[], Mapping[str, str]] = dict,
        context: Callable[[], Properties] = dict,
    ) -> None:
        super().__init__()
        self._build: dict[str, Callable[[], object]] = {
            "subject": subject,
            "resource": resource,
            "action": action,
            "request": request,
            "params": params,
            "context": context,
        }

    def __missing__(self, name: str) -> object:
        built = self[name] = self._build[name]()
        return built


def subject_of(principal: Principal, permissions: frozenset[str], properties: Properties = _NO_PROPERTIES) -> Subject:
    """The `subject` variable for a principal; `permissions` are its effective grants."""
    is_key = principal.key_id is not None
    return {
        "type": _TYPES[principal.method],
        "id": str(principal.key_id) if is_key else principal.subject,
        "owner": principal.subject if is_key else "",
        "method": principal.method,
        "client_id": principal.client_id or "",
        "org": org_of(principal.organization),
        "environment": principal.environment or "",
        "permissions": permissions,
        "claims": principal.claims,
        "act": acting_party(principal.claims),
        "properties": properties,
    }


def org_of(organization: Organization | None) -> Org:
    """The `subject.org` variable."""
    if organization is None:
        return NO_ORG
    return {"id": organization.id, "role": organization.role, "slug": organization.slug}
