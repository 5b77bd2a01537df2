"""Which scopes an app may ask for, by the `ask` rows of a policy: what no row allows, no app may ask for."""

from __future__ import annotations

from app.identity.app_facts import AppIdentity, app_facts
from app.identity.principal import ANYONE
from app.policy.engine.snapshot import Snapshot


def may_ask(snapshot: Snapshot, app: AppIdentity, scope: str) -> bool:
    """Whether an app may ask for a scope. Raises InvalidApp."""
    return scope in snapshot.policy.catalog and snapshot.may_ask(_grants(app), scope)


def scopes_for(snapshot: Snapshot, app: AppIdentity) -> tuple[str, ...]:
    """The scopes that an app may ask for, in the order of the catalogue. Raises InvalidApp."""
    grants = _grants(app)
    return tuple(scope for scope in snapshot.policy.catalog if snapshot.may_ask(grants, scope))


def _grants(app: AppIdentity) -> frozenset[str]:
    return app_facts(app) | {ANYONE}
