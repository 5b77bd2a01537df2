"""Settles what depends on all allows: denies that close nothing, and denies that rows cannot state."""

from __future__ import annotations

from dataclasses import replace

from app.policy.casbin_import.carried_rule import CarriedRule
from app.policy.casbin_import.import_fault import ImportRefused
from app.policy.casbin_import.translation import Translation, UnstatedDeny

_PERSONAL = ("user:", "role:")


def settle(found: Translation, *, subject_domain: bool) -> None:
    """Remove denies of things that nothing allows, and needless ones. Raises ImportRefused for unstated denies."""
    allows = [rule for rule in found.rules if rule.effect == "allow"]
    is_open = any(not any(need.startswith(_PERSONAL) for need in rule.needs) for rule in allows)
    _check_unstated(found, allows, is_open=is_open, subject_domain=subject_domain)
    allowed = {(rule.resource, action) for rule in allows if rule.route is None for action in rule.actions}
    kept: list[CarriedRule] = []
    for rule in found.rules:
        if rule.guards_name and not is_open:
            continue
        if rule.effect == "allow" or rule.route is not None:
            kept.append(rule)
            continue
        actions = tuple(action for action in rule.actions if (rule.resource, action) in allowed)
        if actions:
            kept.append(replace(rule, actions=actions))
        else:
            found.note("no-effect", "idle-deny", rule.source, f"no row allows what it denies on `{rule.resource}`")
    found.rules = kept


def _check_unstated(found: Translation, allows: list[CarriedRule], *, is_open: bool, subject_domain: bool) -> None:
    is_open_to_domains = subject_domain and any(
        not any(need.startswith("org:") for need in rule.needs) for rule in allows
    )
    has_routes = any(rule.route is not None for rule in allows)
    faults = []
    for deny in found.unstated:
        if _could_be_allowed(deny, has_routes=has_routes, is_open=is_open or is_open_to_domains):
            faults.append(deny.fault)
        else:
            found.note("no-effect", "idle-deny", deny.row, f"{deny.message}, and no row allows what it denies")
    if faults:
        raise ImportRefused(faults)


def _could_be_allowed(deny: UnstatedDeny, *, has_routes: bool, is_open: bool) -> bool:
    """Whether an allow may open what the deny would close: a path, or anything to callers whom no row names."""
    return has_routes if deny.is_unnamed_path else is_open
