"""`authz policy reach`, `who` and `usage`: what a caller reaches, who reaches a resource, which scopes a key uses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from app.cli.database import with_session, with_sessions
from app.cli.failure import explained
from app.cli.policy.directory import policy_directory, sound_snapshot
from app.cli.policy.explain import endpoint_of, grants_of
from app.cli.policy.known_key import usable_key
from app.cli.terminal import Line, plural, quoted, rfc3339, show, show_view
from app.policy.language.caller import caller_words

if TYPE_CHECKING:
    from app.keys.reaching import KeyHolder
    from app.policy.analysis.reach import ReachedAction
    from app.policy.analysis.usage import Usage
    from app.policy.engine.snapshot import Snapshot
    from app.policy.language.rule import Rule

_CONDITION = "  if its condition is met"
_DIRECTORY = click.option("--dir", "directory", type=click.Path(path_type=Path), help="The policy directory.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
_KEY_ID = click.IntRange(1, 2**63 - 1)


@click.command("reach")
@click.option("--as", "held", metavar="GRANTS", help="What the caller holds, separated by spaces.")
@click.option("--key", "key_id", metavar="ID", type=_KEY_ID, help="The key that calls, by its id.")
@_DIRECTORY
@_JSON
@explained
def reach_command(*, held: str | None, key_id: int | None, directory: Path | None, as_json: bool) -> None:
    """Show everything that grants or a key reach, and the row that allows each.

    Example: authz policy reach --as 'auth:jwt role:viewer'

    Example: authz policy reach --key 17
    """
    from app.policy.analysis.reach import reach

    if (held is None) is (key_id is None):
        raise click.UsageError("name one of --as and --key.")
    snapshot = sound_snapshot(policy_directory(directory), as_json=as_json)
    grants = (
        snapshot.in_force(usable_key(snapshot, key_id).held) if key_id is not None else grants_of(held or "", snapshot)
    )
    found = list(reach(snapshot, grants))
    if as_json:
        from app.cli.policy.reach_view import ReachedEndpoints

        show_view(ReachedEndpoints(snapshot.revision, caller_words(grants), [each.view for each in found]))
    else:
        show(_reached_lines(found))


@click.command("who")
@click.argument("action", metavar="ACTION")
@click.argument("resource", metavar="RESOURCE")
@click.option("--keys", "with_keys", is_flag=True, help="Look up API keys in the database too, 100 at a time.")
@click.option(
    "--after", default=0, type=click.IntRange(0, 2**63 - 1), help="With --keys: only keys with ids above this one."
)
@_DIRECTORY
@_JSON
@explained
def who_command(
    *, action: str, resource: str, with_keys: bool, after: int, directory: Path | None, as_json: bool
) -> None:
    """Show which grants reach something, and the roles, users and keys that have them.

    Example: authz policy who GET /api/v1/decisions

    Example: authz policy who GET /api/v1/decisions --keys
    """
    from app.policy.analysis.reach import app_ways, holders, ways_in
    from app.policy.engine.target import NoSuchTarget, find_target

    snapshot = sound_snapshot(policy_directory(directory), as_json=as_json)
    action, resource = endpoint_of(action, resource)
    try:
        target = find_target(snapshot.table, snapshot.index, action, resource)
    except NoSuchTarget as error:
        raise click.UsageError(f"{error.message}; {error.answer}. {error.hint}") from None
    rules = snapshot.rules_for(target.resource, action)
    ways, known, apps = ways_in(snapshot, rules), holders(snapshot, rules), app_ways(snapshot, rules)
    denies = [rule for rule in rules if rule.effect == "deny"]
    keys, more = _keys(snapshot, rules, after) if with_keys else ([], None)
    if as_json:
        from app.cli.policy.reach_view import AccessPaths

        show_view(
            AccessPaths(
                revision=snapshot.revision,
                action=action,
                resource=target.resource,
                ways=ways,
                holders=known,
                apps=apps,
                denied_by=[rule.view for rule in denies],
                keys=keys if with_keys else None,
                keys_after=more,
            )
        )
        return
    lines: list[Line] = [f"{action} {target.resource}"]
    for way in ways:
        lines.append(
            [("  " + (" ".join(map(quoted, way.grants)) or "everyone"), "bold"), _CONDITION if way.conditional else ""]
        )
        lines.append(f"    {way.rule.place}: {way.rule.row}")
        if way.roles:
            lines.append(f"    added by {' '.join(map(quoted, way.roles))}")
    if not ways:
        lines.append("  No caller: no row allows it.")
    for app in apps:
        scopes = " ".join(map(quoted, app.scopes))
        lines.append([("  apps with consent to " + scopes, "bold"), ", of such users", _CONDITION * app.conditional])
        lines += [f"    {ask.place}: {ask.row}" for ask in app.asked_by]
    lines += [f"  unless {rule.place}: {rule}" for rule in denies]
    if known and all(way.grants for way in ways):
        lines.append("Who has them by rows: " + " ".join(quoted(each.grant) for each in known))
    if with_keys:
        lines.append("Active keys that reach it:" if keys else "No active key reaches it.")
        lines += [f"  {key.id} of {quoted(key.owner)}{_CONDITION if key.conditional else ''}" for key in keys]
    if more is not None:
        lines.append(f"More: authz policy who {action} {resource} --keys --after {more}")
    show(lines)


def _keys(snapshot: Snapshot, rules: Sequence[Rule], after: int) -> tuple[list[KeyHolder], int | None]:
    from app.identity.token_format import ENVIRONMENTS
    from app.keys.reaching import reaching

    now = datetime.now(UTC)
    return with_sessions(
        lambda sessions: reaching(sessions, snapshot, rules, environments=ENVIRONMENTS, now=now, after=after)
    )


@click.command("usage")
@click.option("--key", "key_id", metavar="ID", type=_KEY_ID, required=True, help="The key, by its id.")
@click.option("--days", default=30, show_default=True, type=click.IntRange(1, 3650), help="How many days back.")
@_DIRECTORY
@_JSON
@explained
def usage_command(*, key_id: int, days: int, directory: Path | None, as_json: bool) -> None:
    """Show which scopes a key used and did not use, and narrower ones that would suffice.

    Read from the decision log: where a server samples what it allows (AUTHZ_DECISION_LOG_SAMPLE), a scope that looks
    unused may have been used. Exits with 1 when the key has scopes that it did not use.

    Example: authz policy usage --key 17 --days 30
    """
    from app.db.usage import usage_since
    from app.policy.language.grants import is_grant

    snapshot = sound_snapshot(policy_directory(directory), as_json=as_json)
    held = snapshot.in_force(usable_key(snapshot, key_id).held)
    scopes = sorted(scope for scope in held if is_grant(scope, snapshot.policy.catalog) and not _fact(scope))
    since = datetime.now(UTC) - timedelta(days=days)
    found, began = with_session(
        lambda session: usage_since(session, snapshot, held, scopes, key_id=key_id, since=since)
    )
    if as_json:
        from app.cli.extended_view import extended
        from app.cli.policy.reach_view import KeyUsage

        show_view(extended(KeyUsage, found, key=key_id, days=days, logged_since=began))
    else:
        show(_usage_lines(found, key_id, days, began if began is None or began > since else None))
    if found.unused:
        raise SystemExit(1)


def _fact(grant: str) -> bool:
    from app.identity.principal import is_fact

    return is_fact(grant)


def _reached_lines(found: list[ReachedAction]) -> Iterator[Line]:
    """A line for each resource and row, with the actions together."""
    grouped: dict[tuple[str, str, bool], list[str]] = {}
    for each in found:
        grouped.setdefault((each.resource, each.rule.place, each.conditional), []).append(each.action)
    width = max((len("|".join(actions)) for actions in grouped.values()), default=0)
    broad = max((len(resource) for resource, _, _ in grouped), default=0)
    for (resource, place, conditional), actions in grouped.items():
        yield [
            f"{'|'.join(actions):<{width}}  {resource:<{broad}}  ",
            (place, "dim"),
            _CONDITION if conditional else "",
        ]
    yield f"{plural(len(found), 'endpoint')} reached." if found else "Nothing is reached."


def _usage_lines(found: Usage, key_id: int, days: int, began: datetime | None) -> Iterator[Line]:
    yield f"Key {key_id} in the last {plural(days, 'day')}:"
    for each in found.used:
        yield f"  {each.scope}  used {plural(each.count, 'time')}, last {rfc3339(each.last)}"
    for scope in found.unused:
        yield [f"  {scope}  ", ("never used", "yellow")]
    if not (found.used or found.unused):
        yield "  It has no scopes."
    for endpoint in found.no_longer_allowed:
        yield f"  {endpoint.action} {endpoint.resource}  was allowed then, but not now"
    if found.unused:
        yield ["These scopes would suffice: ", (" ".join(found.sufficient_scopes) or "none", "bold")]
    if began is not None:
        yield f"The log begins at {rfc3339(began)}."
