"""Findings about a valid policy: rows that do nothing, are too broad, or apply to no caller.

A fault refuses a policy; a finding is reported to its author. Codes are stable, for programs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from app.identity.app_facts import APP_FACTS, APP_METHOD
from app.identity.org_facts import ORG_FACTS
from app.identity.principal import ANYONE, is_fact
from app.policy.analysis.cells import Cells, KnownAnalyses
from app.policy.analysis.client_address import ADDRESS, address_readers
from app.policy.analysis.holders import Holders
from app.policy.analysis.open_head import open_heads
from app.policy.analysis.organization_routes import uncompared_organizations
from app.policy.engine.lockout import unproven_publishers
from app.policy.engine.snapshot import Snapshot
from app.policy.gc_control import paused_gc
from app.policy.language import permissions
from app.policy.language.fault import Fault
from app.policy.language.fault_view import FaultView, fault_view
from app.policy.language.load import Policy
from app.policy.language.rule import Membership, Rule
from app.policy.language.toml_lines import TomlLines
from app.policy.routing.routes import is_route, split_route
from app.policy.routing.template_tree import TAIL

Severity = Literal["error", "warning", "note"]

# Every code with its severity and what it means.
KINDS: Mapping[str, tuple[Severity, str]] = {
    "duplicate-row": ("warning", "A row repeats an earlier one."),
    "shadowed-row": ("warning", "Other rows already allow, or deny, all that a row does."),
    "contradictory-row": ("warning", "A row allows only what other rows deny to the same callers."),
    "deny-never-fires": ("warning", "A row denies what no row allows to the same callers."),
    "open-to-all": ("warning", "A row allows every caller, signed in or not, to change something."),
    "open-head": ("warning", "A row denies GET and leaves HEAD open, which reveals the status and headers of GET."),
    "uncompared-organization": (
        "warning",
        "A row allows a route with `{org_id}` in its path and does not read it.",
    ),
    "over-broad": ("warning", "A row allows something on every endpoint, including future ones."),
    "unused-permission": ("warning", "A permission of the catalogue opens nothing."),
    "deprecated-permission": ("warning", "A row names a permission that is deprecated."),
    "unstated-proxies": ("warning", "A condition reads `request.ip`, and AUTHZ_TRUSTED_PROXIES is not set."),
    "unproven-publishers": ("warning", "Only users or keys that rows name could publish a policy."),
    "ignored-file": ("note", "A file in the policy directory is not read."),
    "empty-role": ("note", "A role has no holder."),
    "unheld-row": ("note", "No caller holds what a row needs."),
    "user-side-row": ("note", "A row about an app and its user allows the user alone."),
    "ambiguous-path": ("note", "Two paths of an OpenAPI document can match the same request, which is denied."),
    "unroutable-path": (
        "note",
        "A path of an OpenAPI document cannot match a request; it is denied.",
    ),
    "unread-path": ("note", "A path of an OpenAPI document cannot be parsed; it is denied."),
    "unread-method": ("note", "A method in an OpenAPI document is not one that rows can name; it is denied."),
    "not-analysed": ("note", "Too many rows apply to one thing to compare them with each other."),
}
_CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE", "WEBSOCKET"})
# Endpoints that are open to every caller, since an app authenticates there with its id or secret.
_FOR_APPS = frozenset({"/oauth/token", "/oauth/revoke", "/oauth/par", "/oauth/register"})
_EVERYONE = frozenset({ANYONE})
_OF_USERS = ("user:", *ORG_FACTS)
_Duplicates = Mapping[Rule | Membership, Rule | Membership]
_DOES: Mapping[str, str] = {"allow": "allows", "deny": "denies"}


@dataclass(frozen=True, slots=True)
class Finding:
    """A doubtful row or file, its place and severity."""

    severity: Severity
    at: Fault

    @property
    def view(self) -> FindingView:
        """The finding in a JSON document."""
        at = fault_view(self.at)
        return FindingView(at.file, at.line, at.column, at.row, at.length, at.code, at.message, at.hint, self.severity)


class FindingView(FaultView, frozen=True):
    """A fault or a finding, with its severity."""

    severity: Severity


def find(snapshot: Snapshot, *, proxies_stated: bool = True, known: KnownAnalyses | None = None) -> list[Finding]:
    """Find what is doubtful about a policy, by file and line.

    `proxies_stated`: the deployment sets AUTHZ_TRUSTED_PROXIES. `known` are analyses of the last policy, and afterwards
    of this one.
    """
    with paused_gc():
        return _found(snapshot, proxies_stated, known or KnownAnalyses())


def _found(snapshot: Snapshot, proxies_stated: bool, known: KnownAnalyses) -> list[Finding]:
    holders, duplicates = Holders(snapshot.policy), duplicate_rows(snapshot.policy)
    found = [
        *_ignored(snapshot.policy),
        *(finding for service in snapshot.policy.services for finding in service.findings),
        *_duplicates(snapshot.policy, duplicates),
        *_broad(snapshot.policy, holders),
        *_permissions(snapshot, holders),
        *_roles(snapshot.policy, holders),
        *_of_user_sides(snapshot.policy, holders),
        *_idle(snapshot, holders, known, duplicates),
        *unproven_publishers(snapshot),
        *open_heads(snapshot),
        *uncompared_organizations(snapshot),
        *(() if proxies_stated else _addresses(snapshot.policy)),
    ]
    found.sort(key=lambda fault: (fault.file, fault.line, fault.code))
    return [Finding(KINDS[fault.code][0], fault) for fault in found]


def duplicate_rows(policy: Policy) -> _Duplicates:
    """Each row that repeats an earlier one, with the earlier one."""
    first: dict[object, Rule | Membership] = {}
    found: dict[Rule | Membership, Rule | Membership] = {}
    for row in _rows(policy):
        content: object = row.content if isinstance(row, Rule) else (row.member, row.grant)
        if (earlier := first.setdefault(content, row)) is not row:
            found[row] = earlier
    return found


def _rows(policy: Policy) -> Iterator[Rule | Membership]:
    yield from policy.rules
    yield from policy.memberships


def _ignored(policy: Policy) -> Iterator[Fault]:
    """Files in the policy directory that are not part of the policy."""
    for name in policy.source.ignored:
        hint = "move it out of the directory, or leave it; it has no effect"
        yield Fault.of_file("ignored-file", name, "this file is not part of the policy and is not read", hint)


def _duplicates(policy: Policy, duplicates: _Duplicates) -> Iterator[Fault]:
    for row, earlier in duplicates.items():
        hint = "delete one of them, or run `authz policy check --fix`"
        yield _at(policy, row, "duplicate-row", f"this row repeats {earlier.place}", hint)


def _broad(policy: Policy, holders: Holders) -> Iterator[Fault]:
    for rule in policy.rules:
        if rule.effect == "deny" or not rule.is_route:
            continue
        changes = [action for action in rule.actions if action in _CHANGES]
        is_open = rule.needs <= holders.everyones and not rule.condition
        if changes and is_open and rule.resource not in _FOR_APPS:
            message = f"every caller, signed in or not, may {', '.join(changes)} here"
            yield _at(
                policy, rule, "open-to-all", message, "require a permission or `auth:jwt`, unless this is intended"
            )
        beyond = [action for action in rule.actions if action != "OPTIONS"]
        if beyond and split_route(rule.resource)[1] == f"/{TAIL}":
            message = f"this row allows {', '.join(beyond)} on every endpoint, including future ones"
            yield _at(policy, rule, "over-broad", message, "name the resources")


def _addresses(policy: Policy) -> Iterator[Fault]:
    """Rows that read the client's address while the trusted proxies are unset: it could be a proxy's address."""
    for rule in address_readers(policy):
        message = f"this condition reads `{ADDRESS}`, which is unknown behind a proxy"
        hint = "set AUTHZ_TRUSTED_PROXIES to the networks of your proxies, or to `none` if there are none"
        yield _at(policy, rule, "unstated-proxies", message, hint, word=ADDRESS)


def _permissions(snapshot: Snapshot, holders: Holders) -> Iterator[Fault]:
    policy = snapshot.policy
    needed = {need for rule in policy.rules for need in rule.needs}
    used = frozenset[str]().union(*map(holders.sources, needed))
    lines = TomlLines(policy.source.files.get(permissions.FILE, ""))
    for name, permission in policy.catalog.items():
        if name not in used and not permission.deprecated:
            message = f"`{name}` opens nothing"
            hint = "write a row that needs it, or mark it `deprecated = true`"
            yield permissions.fault_at(lines, name, "unused-permission", message, hint)
    deprecated = {name for name, permission in policy.catalog.items() if permission.deprecated}
    for row in _rows(policy) if deprecated else ():
        grants = row.needs if isinstance(row, Rule) else {row.member, row.grant}
        for grant in sorted(deprecated & grants):
            message = f"`{grant}` is deprecated"
            yield _at(policy, row, "deprecated-permission", message, "use the permission that replaces it", word=grant)


def _roles(policy: Policy, holders: Holders) -> Iterator[Fault]:
    """Roles without a holder, except those that another role leads to: these get a holder with it."""
    first: dict[str, Membership] = {}
    led_to: set[str] = set()
    for row in policy.memberships:
        led_to.add(row.grant)
        for grant in (row.member, row.grant):
            if grant.startswith("role:"):
                first.setdefault(grant, row)
    for role, row in first.items():
        if role not in led_to and not holders.sources(role):
            message = f"`{role}` has no holder"
            yield _at(policy, row, "empty-role", message, f"assign it: `g, user:…, {role}`", word=role)


def _of_user_sides(policy: Policy, holders: Holders) -> Iterator[Fault]:
    """Rows that allow something to an app for some users, which no app can hold: the app is not allowed by them."""
    for rule in policy.rules:
        if rule.effect == "deny" or not any(need.startswith((APP_METHOD, *APP_FACTS)) for need in rule.needs):
            continue
        for need in sorted(rule.needs):
            sources = holders.sources(need)
            if is_fact(need) and sources and all(source.startswith(_OF_USERS) for source in sources):
                message = f"an app never holds `{need}`, only its user does: this row does not allow the app"
                hint = "add a row that allows it to the app, or allow it to apps and deny it to other users"
                yield _at(policy, rule, "user-side-row", message, hint, word=need)
                break


def _idle(snapshot: Snapshot, holders: Holders, known: KnownAnalyses, duplicates: _Duplicates) -> Iterator[Fault]:
    """Rows that change no verdict."""
    cells = Cells(snapshot, holders, known)
    yield from _idle_rows(snapshot.policy, cells, duplicates, _closing(snapshot))
    cells.free()


def _closing(snapshot: Snapshot) -> frozenset[Rule]:
    """Denies to everyone of endpoints that no row allows: without such a row an endpoint must have another one."""
    closed = (
        rules
        for (resource, _), rules in snapshot.index.items()
        if is_route(resource) and not any(rule.effect == "allow" for rule in rules)
    )
    return frozenset(rule for rules in closed for rule in rules if rule.needs == _EVERYONE and rule.condition is None)


def _idle_rows(policy: Policy, cells: Cells, duplicates: _Duplicates, closing: frozenset[Rule]) -> Iterator[Fault]:
    for key, rule in cells.crowded.items():
        message = f"too many rows apply to {key[1]} {key[0]} to compare them with each other"
        yield _at(policy, rule, "not-analysed", message, "")
    shadowed = cells.shadowed()
    for rule in policy.rules:
        if rule in duplicates or not cells.is_known(rule):
            continue
        if not cells.is_held(rule):
            yield _at(
                policy, rule, "unheld-row", "no caller holds what this row needs", "check the roles that it needs"
            )
        elif covering := shadowed.get(rule):
            message = f"{_places(covering)} already {_DOES[rule.effect]} everything that this row does"
            if len(covering) > 1:
                message = f"{_places(covering)} together already {rule.effect} everything that this row does"
            yield _at(policy, rule, "shadowed-row", message, "delete it, unless it is meant to outlive them")
        elif rule.effect == "allow" and (denying := cells.always_denied_by(rule)):
            message = f"this row allows nothing: {_places(denying)} always overrides it"
            if len(denying) > 1:
                message = f"this row allows nothing: {_places(denying)} always override it"
            yield _at(policy, rule, "contradictory-row", message, "delete one of them, or make the deny narrower")
        elif rule.effect == "deny" and rule not in closing and not cells.fires(rule):
            message = "this deny has no effect: no row allows this to a caller who holds what the deny needs"
            yield _at(policy, rule, "deny-never-fires", message, "delete it, or correct the spelling")


def _places(rules: tuple[Rule, ...]) -> str:
    places = [rule.place for rule in rules]
    if len(places) > 3:
        return f"{', '.join(places[:3])} and {len(places) - 3} more"
    return " and ".join(places)


def _at(policy: Policy, row: Rule | Membership, code: str, message: str, hint: str, *, word: str = "") -> Fault:
    text = policy.source.line(row.file, row.line)
    start = max(text.find(word), 0) if word else 0
    return Fault(code, row.file, row.line, start + 1, message, hint, len(word) or len(text), text)
