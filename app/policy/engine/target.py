"""Finds the target of a question: from a concrete path or thing to the key of its rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from app.policy.engine.expand import key_of
from app.policy.engine.rule_index import Index
from app.policy.language.fault import did_you_mean
from app.policy.routing.routes import RouteTable, is_parameter, is_route, segments, split_route
from app.policy.routing.segment import composite, is_composite, values_in

CLOSED = "is denied: its OpenAPI document is ambiguous about it"
CLOSED_HINT = "`authz policy check` says why"
_NONE: Mapping[str, str] = MappingProxyType({})


class NoSuchTarget(Exception):
    """There is no such route, so the policy does not decide. Callers of the application get `status`, a 404 or 405.

    For another service, the gateway denies.
    """

    def __init__(self, status: int, message: str, hint: str, service: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.hint = hint
        self.service = service

    @property
    def answer(self) -> str:
        """The response that callers get, in words."""
        if self.service:
            return "gateways answer 403, or 401 to a caller without credentials"
        return f"callers get {self.status}"


@dataclass(frozen=True, slots=True)
class Target:
    """An action on a resource: a route template with the values of its parameters, or a thing.

    `resource` is the key of its rules, `original` the resource as the question names it.
    """

    action: str
    resource: str
    original: str
    params: Mapping[str, str] = field(default_factory=lambda: _NONE, hash=False)


def find_target(table: RouteTable, index: Index, action: str, resource: str) -> Target:
    """Find the target of an action on a concrete path, a route template, or a `type` or `type:id`.

    Raises NoSuchTarget if no route matches the path or the route lacks the method.
    """
    if not is_route(resource):
        key = key_of(resource, action, index)
        return Target(action, key[0] if key else resource, resource)
    service, path = split_route(resource)
    template = resource if table.methods(resource) else table.resolve(path, service)
    if template is None:
        if resource in table.closed or table.is_closed(path, service):
            raise NoSuchTarget(404, f"`{resource}` {CLOSED}", CLOSED_HINT, service)
        raise NoSuchTarget(404, f"no route matches `{resource}`", _near_route(table, resource), service)
    methods = table.actions(template)
    if action not in methods:
        raise NoSuchTarget(405, f"`{template}` has no method {action}", f"it has {', '.join(methods)}", service)
    return Target(action, template, resource, params_of(template, resource))


def params_of(template: str, path: str) -> Mapping[str, str]:
    """The values of a template's parameters in a matching path; none for the template itself."""
    if template == path:
        return _NONE
    values = segments(path)
    found: dict[str, str] = {}
    for name, value in zip(segments(template), values, strict=False):
        if is_composite(name):
            found.update(zip(composite(name).names, values_in(name, value) or (), strict=False))
        elif is_parameter(name):
            found[name[1:-1]] = value
    return MappingProxyType(found)


def _near_route(table: RouteTable, path: str) -> str:
    near = did_you_mean(path, table.templates)
    return near or "`authz policy routes` lists the routes"
