"""`authz policy explain`: which row allows or denies something, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from app.cli.policy_dir import policy_directory, sound_snapshot
from app.cli.terminal import show, show_json

if TYPE_CHECKING:
    from app.policy.explain import Explanation
    from app.policy.given import Given
    from app.policy.snapshot import Snapshot


@click.command("explain")
@click.argument("action", metavar="ACTION")
@click.argument("resource", metavar="RESOURCE")
@click.option("--as", "held", required=True, metavar="GRANTS", help="What the caller holds, parted by spaces.")
@click.option(
    "--given",
    multiple=True,
    metavar="NAME=VALUE",
    help="A variable for conditions, such as request.ip=10.0.0.1; may be repeated.",
)
@click.option("--dir", "directory", type=click.Path(path_type=Path), help="The policy directory.")
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
def explain_command(
    *, action: str, resource: str, held: str, given: tuple[str, ...], directory: Path | None, as_json: bool
) -> None:
    """Say which row allows or denies something, and why.

    GRANTS are permissions, facts such as auth:jwt or user:user_2abc, and roles such as role:editor; they are
    believed as they are. ACTION RESOURCE is a method with a path or a route template, or an action with a thing,
    as in `read record:record-1`. A denial comes with the nearest rows and the smallest grant that would open it.
    Exits with 0 when it is allowed, with 1 when it is denied or the policy has a fault, with 2 when the question
    makes no sense.

    Example: authz policy explain --as 'catalog:read auth:jwt' GET /api/v1/teams/7
    """
    from app.cli.explain_text import explanation_lines
    from app.policy.explain import explain
    from app.policy.target import NoSuchTarget

    chosen = policy_directory(directory)
    snapshot = sound_snapshot(chosen, as_json=as_json)
    action, resource = _endpoint(action, resource)
    grants = _grants(held, snapshot)
    try:
        found = explain(snapshot, grants, action, resource, _given(given))
    except NoSuchTarget as error:
        raise click.UsageError(f"{error.message}; callers get {error.status}. {error.hint}") from None
    if as_json:
        show_json(_view(found, snapshot))
    else:
        show(explanation_lines(found, snapshot.policy, chosen))
    if not found.decision:
        raise SystemExit(1)


def _endpoint(action: str, resource: str) -> tuple[str, str]:
    from app.policy.routes import is_route
    from app.policy.target import endpoint_fault

    if ":" in action and ":" not in resource and not is_route(resource):
        action, resource = resource, action  # `record:record-1 read`, as some write it
    if fault := endpoint_fault(action, resource):
        raise click.UsageError(f"{fault[0]}: {fault[1]}.")
    return action, resource


def _grants(held: str, snapshot: Snapshot) -> frozenset[str]:
    from app.policy.grants import grant_hint, is_grant, known_roles, role_fault

    catalog = snapshot.policy.catalog
    grants = held.split()
    for grant in grants:
        if not is_grant(grant, catalog):
            message = f"`{grant}` is neither in the catalogue nor a fact, so it grants nothing"
            raise click.BadParameter(f"{message}: {grant_hint(grant, catalog)}.", param_hint="--as")
    if fault := role_fault(grants, known_roles(snapshot.policy.memberships)):
        raise click.BadParameter(f"{fault[0]}: {fault[1]}.", param_hint="--as")
    if not grants:
        raise click.BadParameter("name at least one grant; a stranger holds auth:anonymous.", param_hint="--as")
    return frozenset(grants)


def _given(assignments: tuple[str, ...]) -> Given:
    from app.policy.given import Misgiven, checked, kind_of

    given: dict[str, dict[str, object]] = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        variable, *names = path.split(".")
        if not equals or not names or "" in names:
            raise click.BadParameter("write it as request.ip=10.0.0.1.", param_hint="--given")
        try:
            kind = kind_of(variable, names[0])
            value = _value(text, plain=kind.name in ("string", "timestamp"))
            for name in reversed(names[1:]):
                value = {name: value}
            before = given.setdefault(variable, {}).get(names[0])
            value = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value
            given[variable][names[0]] = checked(kind, value)
        except Misgiven as wrong:
            raise click.BadParameter(f"`{path}`: {wrong.message}; {wrong.hint}.", param_hint="--given") from None
    return given


def _value(text: str, *, plain: bool) -> object:
    """A text where one is due, else what JSON it is, else a text after all."""
    if plain:
        return text
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value


def _view(found: Explanation, snapshot: Snapshot) -> dict[str, object]:
    decision, target = found.decision, found.target

    def row(rule: object) -> dict[str, object] | None:
        from app.policy.rule import Membership, Rule

        if not isinstance(rule, (Rule, Membership)):
            return None
        return {"file": rule.file, "line": rule.line, "row": snapshot.policy.source.line(rule.file, rule.line)}

    return {
        "allowed": decision.allowed,
        "reason": str(decision.reason),
        "revision": decision.revision,
        "action": target.action,
        "resource": target.asked,
        "key": target.resource,
        "params": dict(target.params),
        "as": sorted(found.held),
        "effective": sorted(found.effective),
        "rule": row(decision.rule),
        "added_by": [row(membership) for membership in found.added_by],
        "denies": [row(rule) for rule in found.denies],
        "near": [
            {
                **(row(near.rule) or {}),
                "lacks": list(near.lacks),
                "never": list(near.never),
                "condition": str(near.condition),
                "error": near.error,
            }
            for near in found.near
        ],
        "outlook": found.outlook.name.lower(),
        "opens_with": list(found.opens_with),
    }
