"""Resolves the type and id of a resource, as AuthZEN clients send them, to the resource that rules name."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import unquote

from app.gateway.canonical import path_fault
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.target import CLOSED, CLOSED_HINT, NoSuchTarget, Target, find_target, params_of
from app.policy.language.rule import THING
from app.policy.routing.routes import split_route

ROUTE_TYPE = "route"
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


def resolve_target(snapshot: Snapshot, action: str, kind: str, identity: str) -> Target:
    """The target of an action on the resource with this type and id.

    For the type `route` the id is a template or a path as sent in a request, after `service:` for an upstream service.
    Raises NoSuchTarget, also for an id that could be read as that of another resource.
    """
    if kind == ROUTE_TYPE:
        return _route(snapshot, action, identity)
    if not _TYPE.fullmatch(kind):
        raise NoSuchTarget(404, "no resource has such a type", "a type is a word, such as `record`")
    thing = f"{kind}:{identity}"
    if not THING.fullmatch(thing) or not identity.isprintable():
        hint = 'leave out spaces, what is not printable, `*{}"|` and a first `/`'
        raise NoSuchTarget(404, "no resource has such an id", hint)
    return find_target(snapshot.table, snapshot.index, action, thing)


def resolve_sent(snapshot: Snapshot, action: str, kind: str, identity: str) -> Target:
    """As `resolve_target`, for a request that a caller sent: a path that is spelled like a template is ambiguous.

    Without its parameters a condition could open what it does not open at a door.
    """
    if kind == ROUTE_TYPE and ("{" in identity or "}" in identity):
        raise NoSuchTarget(400, "a path that was sent has no `{`", "write the path as it was sent, not its template")
    return resolve_target(snapshot, action, kind, identity)


def _route(snapshot: Snapshot, action: str, identity: str) -> Target:
    # Not with `find_target`, which takes milliseconds to find a similar route for its hint.
    table = snapshot.table
    if methods := table.actions(identity):
        return Target(action, _with_method(identity, methods, action), identity)
    service, path = split_route(identity)
    if not path.startswith("/") or identity.startswith(":") or not path.isascii():
        raise NoSuchTarget(
            404, "a route is a template or a path", "write `/v1/orders/7` or, of another service, `orders:/v1/orders/7`"
        )
    if fault := path_fault(path.encode("ascii")):
        raise NoSuchTarget(400, fault, "write the path as it is sent, without its query", service)
    template = table.resolve(path, service)
    if template is None:
        if table.is_closed(path, service):
            raise NoSuchTarget(404, f"this path {CLOSED}", CLOSED_HINT, service)
        raise NoSuchTarget(404, "no route matches this path", "`authz policy routes` lists the routes", service)
    _with_method(template, table.actions(template), action)
    if not snapshot.is_conditional(template, action):
        return Target(action, template, identity)
    params = params_of(template, identity)
    return Target(action, template, identity, {name: unquote(value) for name, value in params.items()})


def _with_method(template: str, methods: Collection[str], action: str) -> str:
    if action not in methods:
        service, _ = split_route(template)
        raise NoSuchTarget(405, "the route has no such method", f"it has {', '.join(methods)}", service)
    return template
