"""Which scopes an app may ask for, by the `ask` rows of a policy: what no row allows, no app may ask for."""

from __future__ import annotations

from dataclasses import dataclass

from app.identity.app_facts import AppIdentity, InvalidApp, app_facts
from app.identity.principal import ANYONE
from app.policy.engine.snapshot import Snapshot
from app.policy.language.permissions import Permission
from app.policy.language.rule import Rule


@dataclass(frozen=True, slots=True)
class AskableScope:
    """A scope that an app may ask for, and the rows that let it."""

    permission: Permission
    rows: tuple[Rule, ...]


def may_ask(snapshot: Snapshot, app: AppIdentity, scope: str) -> bool:
    """Whether an app may ask for a scope. Raises InvalidApp."""
    return scope in snapshot.policy.catalog and snapshot.may_ask(_grants(app), scope)


def scopes_for(snapshot: Snapshot, app: AppIdentity) -> tuple[str, ...]:
    """The scopes that an app may ask for, in the order of the catalogue. Raises InvalidApp."""
    grants = _grants(app)
    return tuple(scope for scope in snapshot.policy.catalog if snapshot.may_ask(grants, scope))


def askable_scopes(snapshot: Snapshot, app: AppIdentity) -> list[AskableScope]:
    """The scopes that an app may ask for, in the order of the catalogue; none for an app that rows cannot name."""
    try:
        grants = _grants(app)
    except InvalidApp:
        return []
    return [
        AskableScope(permission, tuple(rule for rule in snapshot.ask_rules(scope) if rule.needs <= grants))
        for scope, permission in snapshot.policy.catalog.items()
        if snapshot.may_ask(grants, scope)
    ]


def _grants(app: AppIdentity) -> frozenset[str]:
    return app_facts(app) | {ANYONE}
