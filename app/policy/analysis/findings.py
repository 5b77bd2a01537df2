"""What is doubtful about a policy that is sound: rows that do nothing, are too broad, or apply to no caller.

A fault refuses a policy; a finding is reported to its author. Codes are stable, for programs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from app.policy.analysis.cells import Cells
from app.policy.analysis.client_address import ADDRESS, address_readers
from app.policy.analysis.holders import Holders
from app.policy.analysis.open_head import open_heads
from app.policy.engine.lockout import unproven_publishers
from app.policy.engine.snapshot import Snapshot
from app.policy.gc_control import paused_gc
from app.policy.language import permissions
from app.policy.language.fault import Fault
from app.policy.language.load import Policy
from app.policy.language.permission_lines import PermissionLines
from app.policy.language.rule import Membership, Rule
from app.policy.routing.routes import split_route
from app.policy.routing.template_tree import TAIL

Severity = Literal["error", "warning", "note"]

# Every code with its severity and what it means.
KINDS: Mapping[str, tuple[Severity, str]] = {
    "duplicate-row": ("warning", "A row says what an earlier one says."),
    "shadowed-row": ("warning", "Other rows already allow, or deny, all that a row does."),
    "contradictory-row": ("warning", "A row allows what others deny to everyone whom it allows."),
    "deny-never-fires": ("warning", "A row denies what nothing allows to anyone whom it denies."),
    "open-to-all": ("warning", "A row lets everyone, signed in or not, change something."),
    "open-head": ("warning", "A row denies GET and leaves HEAD open, which tells of what GET answers."),
    "over-broad": ("warning", "A row allows something on every endpoint, those to come included."),
    "unused-permission": ("warning", "A permission of the catalogue has no part in opening anything."),
    "deprecated-permission": ("warning", "A row names a permission that is deprecated."),
    "unstated-proxies": ("warning", "A condition reads `request.ip`, and AUTHZ_TRUSTED_PROXIES is not set."),
    "unproven-publishers": ("warning", "Only callers that rows name could publish a policy."),
    "ignored-file": ("note", "A file beside the policy is not read."),
    "empty-role": ("note", "A role has no holder."),
    "unheld-row": ("note", "No caller holds what a row needs."),
    "ambiguous-path": ("note", "Two paths of an OpenAPI document can match one request, which is denied."),
    "unroutable-path": (
        "note",
        "A path of an OpenAPI document is none that a request could be matched by; it is denied.",
    ),
    "unread-path": ("note", "A path of an OpenAPI document cannot be understood, and is denied."),
    "unread-method": ("note", "A method in an OpenAPI document is none that rules can name, and is denied."),
    "not-analysed": ("note", "So many rows speak of one thing that they were not held against each other."),
}
_CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE", "WEBSOCKET"})


@dataclass(frozen=True, slots=True)
class Finding:
    """Something doubtful at its place."""

    severity: Severity
    at: Fault


def find(snapshot: Snapshot, *, proxies_stated: bool = True) -> list[Finding]:
    """All findings about a policy, in the order of files and lines.

    `proxies_stated`: the deployment says which proxies it trusts, or that there is none.
    """
    with paused_gc():
        return _found(snapshot, proxies_stated=proxies_stated)


def _found(snapshot: Snapshot, *, proxies_stated: bool) -> list[Finding]:
    holders = Holders(snapshot.policy)
    found = [
        *_ignored(snapshot.policy),
        *(finding for service in snapshot.policy.services for finding in service.findings),
        *_duplicates(snapshot.policy),
        *_broad(snapshot.policy, holders),
        *_permissions(snapshot, holders),
        *_roles(snapshot.policy, holders),
        *_idle(snapshot, holders),
        *unproven_publishers(snapshot),
        *open_heads(snapshot),
        *(() if proxies_stated else _addresses(snapshot.policy)),
    ]
    found.sort(key=lambda fault: (fault.file, fault.line, fault.code))
    return [Finding(KINDS[fault.code][0], fault) for fault in found]


def twins(policy: Policy) -> Mapping[Rule | Membership, Rule | Membership]:
    """Each row that says exactly what an earlier one says, with that one."""
    first: dict[object, Rule | Membership] = {}
    found: dict[Rule | Membership, Rule | Membership] = {}
    for row in _rows(policy):
        said: object = row.said if isinstance(row, Rule) else (row.member, row.grant)
        if (earlier := first.setdefault(said, row)) is not row:
            found[row] = earlier
    return found


def _rows(policy: Policy) -> Iterator[Rule | Membership]:
    yield from policy.rules
    yield from policy.memberships


def _ignored(policy: Policy) -> Iterator[Fault]:
    """Files that lie beside the policy and are no part of it."""
    for name in policy.source.ignored:
        hint = "leave it or move it out of the directory; what it says does not apply"
        yield Fault("ignored-file", name, 0, 0, "this file is not part of the policy and is not read", hint)


def _duplicates(policy: Policy) -> Iterator[Fault]:
    for row, earlier in twins(policy).items():
        hint = "delete one of them; `authz policy check --fix` does"
        yield _at(policy, row, "duplicate-row", f"{earlier.place} says the same", hint)


def _broad(policy: Policy, holders: Holders) -> Iterator[Fault]:
    for rule in policy.rules:
        if rule.effect == "deny" or not rule.is_route:
            continue
        changes = [action for action in rule.actions if action in _CHANGES]
        if changes and rule.needs <= holders.everyones and not rule.condition:
            message = f"everyone, signed in or not, may {', '.join(changes)} here"
            yield _at(policy, rule, "open-to-all", message, "name a permission or `auth:jwt`, unless it is meant so")
        beyond = [action for action in rule.actions if action != "OPTIONS"]
        if beyond and split_route(rule.resource)[1] == f"/{TAIL}":
            message = f"this row allows {', '.join(beyond)} on every endpoint, those to come included"
            yield _at(policy, rule, "over-broad", message, "name the resources")


def _addresses(policy: Policy) -> Iterator[Fault]:
    """Rows that read a client's address where nothing is known of proxies: it could be that of a proxy."""
    for rule in address_readers(policy):
        message = f"this condition reads `{ADDRESS}`, which behind a proxy cannot be known"
        hint = "set AUTHZ_TRUSTED_PROXIES to the networks of your proxies, or to `none` where there is none"
        yield _at(policy, rule, "unstated-proxies", message, hint, word=ADDRESS)


def _permissions(snapshot: Snapshot, holders: Holders) -> Iterator[Fault]:
    policy = snapshot.policy
    needed = {need for rule in policy.rules for need in rule.needs}
    used = frozenset[str]().union(*map(holders.sources, needed))
    lines = PermissionLines(policy.source.files.get(permissions.FILE, ""))
    for name, permission in policy.catalog.items():
        if name not in used and not permission.deprecated:
            message = f"`{name}` has no part in opening anything"
            hint = "write a row that needs it, or mark it `deprecated = true`"
            yield permissions.fault_at(lines, name, "unused-permission", message, hint)
    deprecated = {name for name, permission in policy.catalog.items() if permission.deprecated}
    for row in _rows(policy) if deprecated else ():
        named = row.needs if isinstance(row, Rule) else {row.member, row.grant}
        for grant in sorted(deprecated & named):
            message = f"`{grant}` is deprecated"
            yield _at(policy, row, "deprecated-permission", message, "name what replaces it", word=grant)


def _roles(policy: Policy, holders: Holders) -> Iterator[Fault]:
    """Roles without a holder; one that another such role leads to is held as soon as that is."""
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


def _idle(snapshot: Snapshot, holders: Holders) -> Iterator[Fault]:
    """Rows that make no difference to any verdict."""
    policy, cells = snapshot.policy, Cells(snapshot, holders)
    for key, rule in cells.crowded.items():
        message = f"so many rows speak of {key[1]} {key[0]} that they were not held against each other"
        yield _at(policy, rule, "not-analysed", message, "")
    duplicates, shadowed = twins(policy), cells.shadowed()
    for rule in policy.rules:
        if rule in duplicates or not cells.is_known(rule):
            continue
        if not cells.is_held(rule):
            yield _at(policy, rule, "unheld-row", "no caller holds what this row needs", "see the roles that it needs")
        elif covering := shadowed.get(rule):
            message = f"{_places(covering)} {rule.effect}s all that this row does"
            if len(covering) > 1:
                message = f"{_places(covering)} together {rule.effect} all that this row does"
            yield _at(policy, rule, "shadowed-row", message, "delete it, unless it is to outlive them")
        elif rule.effect == "allow" and (denying := cells.always_denied_by(rule)):
            message = f"this row allows nothing: {_places(denying)} always beats it"
            if len(denying) > 1:
                message = f"this row allows nothing: {_places(denying)} always beat it"
            yield _at(policy, rule, "contradictory-row", message, "delete one of them, or make the deny narrower")
        elif rule.effect == "deny" and not cells.fires(rule):
            message = "this deny never fires: nothing allows it to anyone who holds what it needs"
            yield _at(policy, rule, "deny-never-fires", message, "delete it, or fix its spelling")


def _places(rules: tuple[Rule, ...]) -> str:
    places = [rule.place for rule in rules]
    if len(places) > 3:
        return f"{', '.join(places[:3])} and {len(places) - 3} more"
    return " and ".join(places)


def _at(policy: Policy, row: Rule | Membership, code: str, message: str, hint: str, *, word: str = "") -> Fault:
    text = policy.source.line(row.file, row.line)
    start = max(text.find(word), 0) if word else 0
    return Fault(code, row.file, row.line, start + 1, message, hint, len(word) or len(text), text)
