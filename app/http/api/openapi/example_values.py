"""The values of fields in examples of the OpenAPI document, under a policy for the routes of the service itself."""

from __future__ import annotations

from collections.abc import Mapping

from app import __version__
from app.http.api.api_keys import WARNING
from app.identity.token_format import DIGITS, PUBLIC_DIGITS, current
from app.oauth.app_view import WARNING as SECRET_WARNING
from app.oauth.codes import INVALID
from app.policy.language.reason import Reason

MOMENT = "2026-11-29T10:00:00Z"
EXPIRY = "2027-11-29T10:00:00Z"
CLIENT_ID = "app_0123456789abcdef"
CALLBACK = "https://app.example/callback"
REVISION = "9f86d081884c7d65"
_ROUTE, _GRANT = "/api/v1/decisions", "decisions:read"
ROW = f"p, {_GRANT}, {_ROUTE}/**, GET|HEAD, allow"
_BASE = "https://authz.example.com"
# By the name of the field, if a value of the schema's type stands here.
VALUES: Mapping[str, object] = {
    "accept_failing_cases": "The case is about a route that was removed.",
    "action": "GET",
    "actions": "GET",
    "active": REVISION,
    "actor": "user_2abc",
    "author": "user_2abc",
    "authorization_servers": _BASE,
    "bearer_methods_supported": "header",
    "client": CLIENT_ID,
    "client_id": CLIENT_ID,
    "client_name": "Reports",
    "code_challenge_methods_supported": "S256",
    "counting": _GRANT,
    "created_by": "user_2abc",
    "cursor": "YjQyOi9hcGkvdjEvYXBpLWtleXM",
    "detail": "The request cannot be served.",
    "door": "app",
    "environment": "live",
    "example": "0643f6a1b2c3d4e5f6a7b8c9",
    "field": "name",
    "file": "decision_log.csv",
    "files": f"{ROW}\n# end\n",
    "grant": "role:admin",
    "grant_types": "authorization_code",
    "grant_types_supported": "authorization_code",
    "grants": _GRANT,
    "held": _GRANT,
    "host": "app.example",
    "kind": "registered",
    "last": "7d",
    "message": "Let support read decisions",
    "method": "jwt",
    "name": "nightly import",
    "organization": "org_2abc",
    "org_id": "org_2abc",
    "owner": "user_2abc",
    "parent": REVISION,
    "problem": "the policy allows it",
    "reason": Reason.ALLOWED.value,
    "redirect_uris": CALLBACK,
    "request_id": "0643f6a1b2c3d4e5f6a7b8c9",
    "request_uri": "urn:ietf:params:oauth:request_uri:6f1c2b7e0643f6a1b2c3d4e5f6a7b8c9",
    "resource": _ROUTE,
    "resource_name": "Orders API",
    "response_modes_supported": "query",
    "response_types": "code",
    "response_types_supported": "code",
    "revision": REVISION,
    "revocation_endpoint_auth_methods_supported": "none",
    "roles": "role:admin",
    "route": _ROUTE,
    "row": ROW,
    "scope": _GRANT,
    "scopes": _GRANT,
    "scopes_supported": _GRANT,
    "since": "7d",
    "sub": "user_2abc",
    "subject": "user_2abc",
    "sufficient_scopes": _GRANT,
    "target": "key:17",
    "token_endpoint_auth_method": "none",
    "token_endpoint_auth_methods_supported": "none",
    "token_id": "6f1c2b7e",
    "token_type_hint": "access_token",
    "type": "user",
    "unused": _GRANT,
    "until": MOMENT,
    "user": "user_2abc",
    "version": __version__,
    **{
        name: f"{_BASE}{path}"
        for name, path in {
            "issuer": "",
            "policy_decision_point": "",
            "access_evaluation_endpoint": "/access/v1/evaluation",
            "access_evaluations_endpoint": "/access/v1/evaluations",
            "search_subject_endpoint": "/access/v1/search/subject",
            "search_resource_endpoint": "/access/v1/search/resource",
            "search_action_endpoint": "/access/v1/search/action",
            "authorization_endpoint": "/oauth/authorize",
            "pushed_authorization_request_endpoint": "/oauth/par",
            "token_endpoint": "/oauth/token",
            "revocation_endpoint": "/oauth/revoke",
            "introspection_endpoint": "/oauth/introspect",
            "registration_endpoint": "/oauth/register",
            "service_documentation": "/docs",
            "resource_documentation": "/docs",
        }.items()
    },
}
# By the schema and its field, where the name alone does not say what it is.
OWN: Mapping[str, object] = {
    "AccessChangeView.kind": "gained",
    "AccessChangeView.text": f"role:support gains GET {_ROUTE}",
    "AccessSummary.kind": "gained",
    "AccessSummary.text": "role:support gains decisions:read: 1 endpoint",
    "AdminActionView.action": "key.issue",
    "AdminActionView.details": {"environment": "live", "scopes": [_GRANT]},
    "AdminActionView.door": "api",
    "AdminActionView.message": "nightly import",
    "AppView.name": "Reports",
    "AppWithSecret.warning": SECRET_WARNING,
    "Entry.changes": ["+1 row in decision_log.csv"],
    "Entry.kind": "publish",
    "FaultView.code": "unknown-grant",
    "FaultView.hint": "add it to permissions.toml, or see policies/README.md for the facts",
    "FaultView.message": "`decisions:look` is an unknown permission",
    "FieldError.message": "must not be blank, nor begin or end with a space",
    "FileView.name": "decision_log.csv",
    "FileView.status": "changed",
    "FileView.text": "decision_log.csv: 1 row added",
    "FoundEntity.id": "user_2abc",
    "GrantView.name": "Reports",
    "IssuedKey.warning": WARNING,
    "IssuedOrganizationKey.warning": WARNING,
    "LaggingReplica.host": "authz-2",
    "NextPage.next_token": "",
    "PublishedPolicy.files_lag": "",
    "ReplicaStatus.host": "authz-1",
    "ReplicaStatus.lag_revisions": 0,
    "ReplicaStatus.lag_seconds": 0.0,
    "ReplicaStatus.lost": False,
    "RotatedKey.warning": WARNING,
    "RotatedOrganizationKey.warning": WARNING,
    "TokenError.error": "invalid_grant",
    "TokenError.error_description": INVALID,
}
# Fields that are null, and lists that are empty, unless something is out of the ordinary.
NULLS = frozenset(
    {
        *("revoked_at", "last_fault", "error", "previous", "next", "impersonator", "refused", "files_lag"),
        *("disabled_at", "former_secret_until"),
    }
)
EMPTY = frozenset({"missing", "lost", "warnings"})


def token_values() -> Mapping[str, object]:
    """The values of fields with tokens, with the prefix that they have here."""
    digits, key = ("0123456789abcdef" * 3)[:DIGITS], current().key_start("live")
    return {
        "access_token": current().app_token_start("access") + digits,
        "key_prefix": key + digits[:PUBLIC_DIGITS],
        "plaintext": key + digits,
        "client_secret": current().app_token_start("secret") + digits,
        "refresh_token": current().app_token_start("refresh") + digits,
        "token": key + digits,
    }
