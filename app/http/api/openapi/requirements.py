"""What a policy requires of the callers of each operation: security requirements, responses 403, and `x-needs`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.http.api.openapi.responses import with_shared
from app.identity.org_facts import ORG_FACTS
from app.identity.principal import ANYONE, is_fact
from app.identity.token_format import DIGITS, ENVIRONMENTS, current
from app.oauth.server import AuthorizationServer
from app.policy.analysis.reach import Reach, WayIn, app_ways, outcome_of_sides, ways_in
from app.policy.engine.snapshot import Snapshot
from app.policy.language.rule import Rule

METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
_JWT, _API_KEY, _OAUTH = "jwt", "api_key", "oauth"
_ANONYMOUS = "auth:anonymous"
# The facts that a caller with each kind of token may have, and the sets of those that each of them has.
_FACTS = {
    _JWT: ("auth:jwt", "user:", "role:", *ORG_FACTS),
    _API_KEY: ("auth:api_key", "env:", "key:", "role:"),
}
_STATED = {_JWT: [{"auth:jwt"}], _API_KEY: [{"auth:api_key", f"env:{name}"} for name in ENVIRONMENTS]}
_SCHEMES: Mapping[str, Mapping[str, Any]] = {
    _JWT: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The token of a signed-in user: an RS256 JWT of an issuer that the deployment trusts.",
    },
    _API_KEY: {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, in the same header as a token.",
    },
}


def with_requirements(
    document: dict[str, Any], snapshot: Snapshot, server: AuthorizationServer | None
) -> dict[str, Any]:
    """The document with what a policy requires. `server` gives tokens to third-party apps, if there is one."""
    scopes = _scopes_of_apps(snapshot) if server else {}
    paths = {
        path: {
            key: _with_requirement(value, snapshot, snapshot.rules_for(path, key.upper()), scopes)
            if key in METHODS
            else value
            for key, value in item.items()
        }
        for path, item in document["paths"].items()
    }
    schemes: dict[str, Any] = {name: dict(scheme) for name, scheme in _SCHEMES.items()}
    schemes[_API_KEY]["bearerFormat"] = _form_of_keys()
    if server:
        schemes[_OAUTH] = _oauth(server, scopes)
    components = {**document["components"], "securitySchemes": schemes}
    return {**document, "paths": paths, "components": components, "x-policy-revision": snapshot.revision}


def _form_of_keys() -> str:
    return " or ".join(f"{current().key_start(environment)}<{DIGITS} hex>" for environment in ENVIRONMENTS)


def _oauth(server: AuthorizationServer, scopes: Mapping[str, str]) -> dict[str, Any]:
    token = f"{server.issuer}/oauth/token"
    authorization = f"{server.console}/oauth/authorize"
    flow = {"authorizationUrl": authorization, "tokenUrl": token, "refreshUrl": token, "scopes": dict(scopes)}
    return {
        "type": "oauth2",
        "description": "The access token of a third-party app that acts for a user: OAuth 2.1 with PKCE (S256).",
        "flows": {"authorizationCode": flow},
    }


def _scopes_of_apps(snapshot: Snapshot) -> dict[str, str]:
    """The scopes that a row lets any kind of app ask for, with what they grant."""
    return {
        name: permission.grants
        for name, permission in snapshot.policy.catalog.items()
        if any(rule.effect == "allow" for rule in snapshot.ask_rules(name))
    }


def _with_requirement(
    operation: dict[str, Any], snapshot: Snapshot, rules: Sequence[Rule], scopes: Mapping[str, str]
) -> dict[str, Any]:
    ways = ways_in(snapshot, rules)
    responses = operation["responses"]
    if not _is_open(rules):
        responses = dict(sorted({**responses, "403": with_shared("403", responses.get("403"))}.items()))
    return {
        **operation,
        "description": f"{operation.get('description', '')}\n\n{_sentence(ways)}".strip(),
        "responses": responses,
        "security": _security(snapshot, rules, ways, scopes),
        "x-needs": [sorted(rule.needs) for rule in rules if rule.effect == "allow"],
    }


def _sentence(ways: Sequence[WayIn]) -> str:
    if not ways:
        return "The policy allows it to no caller."
    if any(not way.grants for way in ways):
        return "Open to everyone."
    return f"Needs {' or '.join(' and '.join(f'`{grant}`' for grant in way.grants) for way in ways)}."


def _is_open(rules: Sequence[Rule]) -> bool:
    """Whether no caller gets a 403."""
    is_allowed = any(rule.effect == "allow" and rule.needs == {ANYONE} and not rule.condition for rule in rules)
    return is_allowed and all(rule.effect == "allow" for rule in rules)


def _security(
    snapshot: Snapshot, rules: Sequence[Rule], ways: Sequence[WayIn], scopes: Mapping[str, str]
) -> list[dict[str, list[str]]]:
    """The requirements of an operation. If no caller can meet them, it requires a token, which is refused."""
    found: list[dict[str, list[str]]] = []
    for way in ways:
        if set(way.grants) <= {_ANONYMOUS}:
            found.append({})
        else:
            # Only OAuth has scopes here; `x-needs` has the permissions of all.
            found += [{name: []} for name in _FACTS if _opens(snapshot, rules, name, way.grants)]
    if scopes:
        found += [{_OAUTH: list(way.scopes)} for way in app_ways(snapshot, rules)]
    distinct = [requirement for at, requirement in enumerate(found) if requirement not in found[:at]]
    return distinct or [{_JWT: []}, {_API_KEY: []}]


def _opens(snapshot: Snapshot, rules: Sequence[Rule], scheme: str, grants: Sequence[str]) -> bool:
    """Whether callers with a kind of token can have these grants, and are allowed with them."""
    if not all(grant.startswith(_FACTS[scheme]) for grant in grants if is_fact(grant)):
        return False
    callers = (snapshot.each_side({*stated, *grants}) for stated in _STATED[scheme])
    return any(outcome_of_sides(rules, sides)[0] is not Reach.NO for sides in callers)
