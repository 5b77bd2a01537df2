"""`authz policy explain`: explains which row allows or denies a request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from app.cli.failure import explained
from app.cli.policy.directory import policy_directory, sound_snapshot
from app.cli.terminal import show, show_view

if TYPE_CHECKING:
    from app.policy.engine.snapshot import Snapshot
    from app.policy.language.given import Given


@click.command("explain")
@click.argument("action", metavar="[ACTION", required=False)
@click.argument("resource", metavar="RESOURCE]", required=False)
@click.option("--as", "held", metavar="GRANTS", help="What the caller holds, separated by spaces.")
@click.option("--key", "key_id", metavar="ID", type=click.IntRange(1, 2**63 - 1), help="The key that calls, by its id.")
@click.option("--request", "request_id", metavar="ID", help="A request of the past, by its X-Request-ID.")
@click.option(
    "--given",
    multiple=True,
    metavar="NAME=VALUE",
    help="A variable for conditions, such as request.ip=10.0.0.1; may be repeated.",
)
@click.option("--dir", "directory", type=click.Path(path_type=Path), help="The policy directory.")
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
@explained
def explain_command(
    *,
    action: str | None,
    resource: str | None,
    held: str | None,
    key_id: int | None,
    request_id: str | None,
    given: tuple[str, ...],
    directory: Path | None,
    as_json: bool,
) -> None:
    """Show which row allows or denies something, and why.

    GRANTS are permissions, facts such as auth:jwt or user:user_2abc, and roles such as role:editor; they are
    not verified. For an app they are its facts and scopes, `for`, and the grants of its user. With --key they are
    what the database says, with --request what the decision log does, and so are ACTION and RESOURCE. ACTION
    RESOURCE is a method with a path or a route template, or an action with a thing, as in `read record:record-1`.
    A denial comes with the nearest rows and the smallest grant that would open it.
    Exits with 0 when it is allowed, with 1 when it is denied or the policy has a fault, with 2 when the arguments are
    not valid.

    Example: authz policy explain --as 'decisions:read auth:jwt' GET /api/v1/decisions

    Example: authz policy explain --as 'app:acme decisions:read for user:ann decisions:read' GET /api/v1/decisions

    Example: authz policy explain --key 17 GET /api/v1/decisions

    Example: authz policy explain --request 39745a18c3cd7e46c66891f3
    """
    if [held, key_id, request_id].count(None) != 2:
        raise click.UsageError("name one of --as, --key and --request.")
    if (request_id is None) is (action is None or resource is None) or (request_id is not None and action):
        raise click.UsageError(
            "with --request leave out ACTION and RESOURCE." if request_id else "name ACTION and RESOURCE."
        )
    chosen = policy_directory(directory)
    snapshot = sound_snapshot(chosen, as_json=as_json)
    variables = _given(given)
    if request_id is not None:
        from app.cli.policy.explain_past import explain_past

        explain_past(snapshot, request_id, variables, chosen, as_json=as_json)
        return
    action, resource = endpoint_of(action or "", resource or "")
    if key_id is None:
        grants = grants_of(held or "", snapshot)
    else:
        from app.cli.policy.known_key import usable_key

        key = usable_key(snapshot, key_id)
        grants = key.held
        variables = {**variables, "subject": {"owner": key.subject, **variables.get("subject", {})}}
    show_explained(snapshot, grants, (action, resource), variables, chosen, as_json=as_json)


def show_explained(
    snapshot: Snapshot,
    grants: frozenset[str],
    endpoint: tuple[str, str],
    given: Given,
    directory: Path,
    *,
    as_json: bool,
) -> None:
    """Print the explanation; exit with 1 if it is denied. Raises UsageError for an unknown endpoint."""
    from app.cli.policy.explain_text import explanation_lines
    from app.policy.analysis.explain import explain
    from app.policy.engine.target import NoSuchTarget

    try:
        found = explain(snapshot, grants, *endpoint, given)
    except NoSuchTarget as error:
        raise click.UsageError(f"{error.message}; {error.answer}. {error.hint}") from None
    if as_json:
        from app.policy.analysis.explained import explanation_view

        show_view(explanation_view(found))
    else:
        show(explanation_lines(found, snapshot.policy, directory))
    if not found.decision:
        raise SystemExit(1)


def endpoint_of(action: str, resource: str) -> tuple[str, str]:
    """The action and the resource, in this order. Raises UsageError for invalid ones."""
    from app.policy.language.endpoint import endpoint_fault
    from app.policy.routing.routes import is_route

    if ":" in action and ":" not in resource and not is_route(resource):
        action, resource = resource, action  # accept `record:record-1 read` too
    if fault := endpoint_fault(action, resource):
        raise click.UsageError(f"{fault[0]}: {fault[1]}.")
    return action, resource


def grants_of(held: str, snapshot: Snapshot) -> frozenset[str]:
    """The grants of an `--as`, each known to the policy. Raises BadParameter."""
    from app.policy.language.caller import read_caller
    from app.policy.language.grants import stated_fault

    grants = held.split()
    if fault := stated_fault(grants, snapshot.policy.catalog, snapshot.policy.memberships):
        raise click.BadParameter(f"{fault[0]}: {fault[1]}.", param_hint="--as")
    return read_caller(grants)


def _given(assignments: tuple[str, ...]) -> Given:
    from app.policy.language.given import InvalidVariable, read_assignments

    try:
        return read_assignments(assignments)
    except InvalidVariable as wrong:
        raise click.BadParameter(f"{wrong.message}; {wrong.hint}.", param_hint="--given") from None
