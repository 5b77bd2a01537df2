"""The condition variables of a question: those that its grants and target imply, and those that are given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.identity.app_facts import APP_METHOD
from app.identity.principal import ON_BEHALF
from app.policy.engine.target import Target
from app.policy.language.given import Given
from app.policy.language.when.condition import Context
from app.policy.language.when.shape import NO_ORG
from app.policy.routing.routes import is_route, split_route

_BY_METHOD = {
    "auth:jwt": ("user", "jwt"),
    "auth:api_key": ("key", "api_key"),
    APP_METHOD: ("app", "oauth"),
    "auth:anonymous": ("anonymous",) * 2,
}


def context_of(held: Iterable[str], effective: Iterable[str], target: Target, given: Given) -> Context:
    """Build the variables of a question from its grants, its target and the given ones, which take precedence.

    What is not given, such as the time or the client's address, is absent, and a condition that reads it fails.
    """
    known: dict[str, dict[str, object]] = {
        "subject": {**_subject(held), "permissions": sorted(effective)},
        "resource": _resource(target),
        "action": {"name": target.action, "properties": {}},
        "params": dict(target.params),
        "request": {},
        "context": {},
    }
    if is_route(target.resource):
        known["request"] = {"method": target.action}
        if target.original != target.resource:
            known["request"]["path"] = split_route(target.original)[1]
    return {name: {**fields, **given.get(name, {})} for name, fields in known.items()}


def _subject(held: Iterable[str]) -> dict[str, object]:
    subject: dict[str, object] = {
        **{"owner": "", "client_id": "", "environment": ""},
        **{"claims": {}, "act": {}, "properties": {}},
    }
    org: Mapping[str, str] = {}
    for grant in (each.removeprefix(ON_BEHALF) for each in held):
        family, _, rest = grant.partition(":")
        if grant in _BY_METHOD:
            subject["type"], subject["method"] = _BY_METHOD[grant]
        elif family in ("user", "key"):
            subject["id"] = rest
        elif family == "app":
            subject["client_id"] = rest
        elif family in ("org", "org-role"):
            # The grants do not tell its slug.
            org = {"role": "", **org, "id" if family == "org" else "role": rest}
        elif family == "env":
            subject["environment"] = rest
    if org and subject.get("type") == "key":
        org = {"slug": "", **org}
        subject["owner"] = f"org:{org['id']}" if "id" in org else ""
    subject["org"] = org or NO_ORG
    if subject.get("type") == "anonymous":
        subject["id"] = ""
    return subject


def _resource(target: Target) -> dict[str, object]:
    if is_route(target.resource):
        return {"type": "route", "id": target.resource, "properties": {}}
    kind, _, name = target.original.partition(":")
    return {"type": kind, "id": name, "properties": {}}
