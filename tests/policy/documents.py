"""Services from the text of their OpenAPI documents."""

from __future__ import annotations

import json
from collections.abc import Mapping

from app.policy.language.fault import Fault
from app.policy.language.source import PolicySource
from app.policy.language.upstreams import Upstream, load
from app.policy.routing.routes import RouteTable

FILE = "upstreams/x.openapi.yaml"


def document(paths: str, head: str = "openapi: 3.1.0") -> str:
    """A document with these paths."""
    return f"{head}\npaths:\n{paths}\n"


def json_document(paths: object, servers: object = None, version: str = "3.1.0", **more: object) -> str:
    """A document in JSON."""
    head = {} if servers is None else {"servers": servers}
    return json.dumps({"openapi": version, **head, "paths": paths, **more})


def read(text: str, file: str = FILE, more: Mapping[str, str] | None = None) -> tuple[Upstream, list[Fault]]:
    """The service `x` of a document, and the faults that refuse it."""
    faults: list[Fault] = []
    (service,) = load(PolicySource({file: text, **(more or {})}, "revision"), faults, {}, ())
    return service, faults


def service(text: str, file: str = FILE, more: Mapping[str, str] | None = None) -> Upstream:
    """The service `x` of an accepted document."""
    found, faults = read(text, file, more)
    assert not faults, faults
    return found


def endpoints(found: Upstream) -> set[str]:
    """The endpoints of a service, such as `GET /orders`."""
    return {f"{route.method} {route.template.removeprefix('x:')}" for route in found.routes}


def table(found: Upstream) -> RouteTable:
    """The routes of a service, and its excluded paths."""
    return RouteTable(found.routes, closed=found.closed)
