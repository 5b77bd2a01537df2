"""Examples of bodies whose fields depend on each other, by operation id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.http.api.openapi.example_values import CALLBACK, CLIENT_ID, REVISION, ROW, token_values
from app.policy.analysis.explanation import Remedy
from app.policy.language.reason import Reason

_SUBJECT = {"type": "user", "id": "user_2abc", "properties": {"permissions": ["decisions:read"]}}
_ACTION = {"name": "GET"}
_RESOURCE = {"type": "route", "id": "/api/v1/decisions"}
# From RFC 7636 appendix B.
_VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
_CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

_BODIES: Mapping[str, Mapping[str, Any]] = {
    "explain_decision": {"grants": ["decisions:read"], "action": "GET", "resource": "/api/v1/decisions"},
    "evaluate_access": {"subject": _SUBJECT, "action": _ACTION, "resource": _RESOURCE, "options": {"explain": True}},
    "evaluate_access_batch": {
        "subject": _SUBJECT,
        "resource": _RESOURCE,
        "evaluations": [{"action": _ACTION}, {"action": {"name": "DELETE"}}],
        "options": {"evaluations_semantic": "execute_all"},
    },
    "search_subjects": {"subject": {"type": "user"}, "action": _ACTION, "resource": _RESOURCE},
    "search_resources": {"subject": _SUBJECT, "action": _ACTION, "resource": {"type": "route"}, "page": {"limit": 50}},
    "search_actions": {"subject": _SUBJECT, "resource": _RESOURCE},
    "push_authorization_request": {
        "client_id": CLIENT_ID,
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "scope": "decisions:read",
        "state": "af0ifjsldkj",
        "code_challenge": _CHALLENGE,
        "code_challenge_method": "S256",
    },
    "issue_tokens": {
        "grant_type": "authorization_code",
        "client_id": CLIENT_ID,
        "code": "a code of an answer",
        "code_verifier": _VERIFIER,
        "redirect_uri": CALLBACK,
    },
    "register_client": {
        "client_name": "Reports",
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "none",
    },
}

_PLACE = {"file": "decision_log.csv", "line": 4, "column": 1}
_NONE = dict.fromkeys(("known", "authzen", "anonymous"), 0)
_CHECKS: Mapping[str, Any] = {
    "database": {"ok": True},
    "key_set": {"ok": True, "age_seconds": 60, "error": None, "ignored": []},
    "policy": {
        "ok": True,
        "revision": REVISION,
        "newest": REVISION,
        "contact_age_seconds": 0.4,
        "newest_refused": False,
        "last_reload_refused": False,
        "files_lag": False,
        "failing_cases": 0,
    },
    "decision_log": {"ok": True, "dropped": _NONE, "last_drop": None, "deleted": _NONE, "last_deletion": None},
}
# Answers to the bodies above, and to requests without one.
_RESPONSES: Mapping[str, Any] = {
    "check_readiness": {"status": "ready", "checks": _CHECKS},
    "evaluate_access": {
        "decision": True,
        "context": {"reason": Reason.ALLOWED.value, "rule": _PLACE, "missing": [], "revision": REVISION},
    },
    "evaluate_access_batch": {"evaluations": [{"decision": True}, {"decision": False}]},
    "explain_decision": {
        "now": {
            "allowed": True,
            "reason": Reason.ALLOWED.value,
            "revision": REVISION,
            "action": "GET",
            "resource": "/api/v1/decisions",
            "key": "/api/v1/decisions",
            "params": {},
            "as": ["anyone", "decisions:read"],
            "effective": ["anyone", "decisions:read"],
            "rule": {**_PLACE, "row": ROW},
            **{name: [] for name in ("added_by", "denies", "near")},
            "remedy": Remedy.OPEN.name.lower(),
            **{name: [] for name in ("opens_with", "sides", "asks")},
        },
        **dict.fromkeys(("key", "then"), None),
        "others": 0,
        "note": None,
    },
    "introspect_token": {
        "active": True,
        "scope": "decisions:read",
        "sub": "user_2abc",
        "client_id": "key:17",
        "token_type": "Bearer",
    },
    "retrieve_metrics": "# HELP authz_policy_info 1 for the active policy.\n"
    f'# TYPE authz_policy_info gauge\nauthz_policy_info{{revision="{REVISION}"}} 1\n',
    "search_actions": {"results": [{"name": "GET"}, {"name": "HEAD"}, {"name": "OPTIONS"}]},
}


def example_bodies() -> Mapping[str, Mapping[str, Any]]:
    """The bodies, with the prefix that tokens have here."""
    return {**_BODIES, "revoke_token": {"token": token_values()["access_token"], "client_id": CLIENT_ID}}


def example_response(operation_id: str, status: str) -> Any:
    """The example of a response; None if it is composed from its schema."""
    return _RESPONSES.get(operation_id) if status == "200" else None
