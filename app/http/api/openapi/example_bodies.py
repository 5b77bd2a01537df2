"""Examples of request bodies whose fields depend on each other, by operation id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.identity.token_format import DIGITS, current

_SUBJECT = {"type": "user", "id": "user_2abc", "properties": {"permissions": ["decisions:read"]}}
_ACTION = {"name": "GET"}
_RESOURCE = {"type": "route", "id": "/api/v1/decisions"}
_CLIENT_ID = "app_0123456789abcdef"
_REDIRECT = "https://app.example/callback"
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
        "client_id": _CLIENT_ID,
        "response_type": "code",
        "redirect_uri": _REDIRECT,
        "scope": "decisions:read",
        "state": "af0ifjsldkj",
        "code_challenge": _CHALLENGE,
        "code_challenge_method": "S256",
    },
    "issue_tokens": {
        "grant_type": "authorization_code",
        "client_id": _CLIENT_ID,
        "code": "a code of an answer",
        "code_verifier": _VERIFIER,
        "redirect_uri": _REDIRECT,
    },
    "register_client": {
        "client_name": "Reports",
        "redirect_uris": [_REDIRECT],
        "token_endpoint_auth_method": "none",
    },
}


def example_bodies() -> Mapping[str, Mapping[str, Any]]:
    """The bodies, with the prefix that tokens have here."""
    token = current().app_token_start("access") + ("0123456789abcdef" * 3)[:DIGITS]
    return {**_BODIES, "revoke_token": {"token": token, "client_id": _CLIENT_ID}}
