"""The first policy of a service, whole: its rows, permissions, roles and cases."""

from __future__ import annotations

import pytest

from app.policy.analysis.starter import AmbiguousRoute, example_path, is_reading, starter_files
from app.policy.routing.routes import METHODS, Route, RouteTable

BASE = {
    "model.conf": "model",
    "permissions.toml": '# names\n\n["catalog:read"]\ntitle = "a"\n\n["keys:read"]\ntitle = "b"\n',
    "roles.csv": (
        "# roles\n\ng, role:viewer, catalog:read\n\ng, role:admin, catalog:write\ng, role:admin, keys:read\n# end\n"
    ),
}
ROUTES = [
    Route("shop:/v1/orders", "GET"),
    Route("shop:/v1/orders", "POST"),
    *(Route("shop:/v1/orders/{id}", method) for method in ("HEAD", "DELETE", "GET")),
    Route("shop:/health", "GET"),
    Route("shop:/{any}", "PUT"),
]
ROWS = """\
# Who may use orders: a permission to read, and one to change.
# needs, resource, action, effect

p, orders:read, shop:/health/**, GET, allow

p, orders:read, shop:/v1/orders/**, GET|HEAD, allow
p, orders:write, shop:/v1/orders/**, POST|DELETE, allow

p, orders:write, shop:/{any}, PUT, allow
# end
"""
NAMES = """\
# names

["orders:read"]
title = "Read orders"
grants = "Look at orders."

["orders:write"]
title = "Change orders"
grants = "Create, change and delete orders."

["keys:read"]
title = "b"
"""
ROLES = """\
# roles

g, role:viewer, orders:read

g, role:editor, role:viewer
g, role:editor, orders:write

g, role:admin, keys:read
# end
"""
CASES = """\
# What the rows of orders.csv open, and for whom.
cases:
  - name: With orders:read
    as: [auth:jwt orders:read, 'auth:api_key env:live orders:read']
    allow:
      - GET shop:/health: orders.csv
      - GET shop:/v1/orders: orders.csv
      - GET|HEAD shop:/v1/orders/7: orders.csv

  - name: Without orders:read
    as: [auth:anonymous, auth:jwt, auth:jwt orders:write]
    deny:
      - GET shop:/health: lacks orders:read
      - GET shop:/v1/orders: lacks orders:read
      - GET|HEAD shop:/v1/orders/7: lacks orders:read

  - name: With orders:write
    as: [auth:jwt orders:write, 'auth:api_key env:live orders:write']
    allow:
      - POST shop:/v1/orders: orders.csv
      - DELETE shop:/v1/orders/7: orders.csv
      - PUT shop:/7: orders.csv

  - name: Without orders:write
    as: [auth:anonymous, auth:jwt, auth:jwt orders:read]
    deny:
      - POST shop:/v1/orders: lacks orders:write
      - DELETE shop:/v1/orders/7: lacks orders:write
      - PUT shop:/7: lacks orders:write
# end
"""


def files(*routes: Route, others: tuple[Route, ...] = ()) -> dict[str, str]:
    return starter_files("orders", routes, RouteTable([*routes, *others]), BASE, ("catalog",))


def rows(*routes: Route, others: tuple[Route, ...] = ()) -> list[str]:
    return [line for line in files(*routes, others=others)["orders.csv"].split("\n") if line.startswith("p, ")]


def test_the_files_of_a_service() -> None:
    found = files(*ROUTES)
    assert {name: text.split("\n") for name, text in found.items() if name != "apps.csv"} == {
        "model.conf": ["model"],
        "permissions.toml": NAMES.split("\n"),
        "roles.csv": ROLES.split("\n"),
        "orders.csv": ROWS.split("\n"),
        "tests/orders.yaml": CASES.split("\n"),
    }
    assert "\np, app-kind:registered, scope:orders:read, ask, allow\n# end\n" in found["apps.csv"]


def test_a_service_that_only_reads_or_only_writes_has_one_permission() -> None:
    reading, writing = files(ROUTES[0]), files(ROUTES[1])
    assert "orders:write" not in "".join(reading.values())
    assert "orders:read" not in "".join(writing.values())
    assert "g, role:editor, role:viewer" in reading["roles.csv"]
    assert "role:viewer" not in writing["roles.csv"]
    assert "apps.csv" not in writing
    assert "    as: [auth:anonymous, auth:jwt]\n" in reading["tests/orders.yaml"]


def test_routes_of_the_application_have_rows_of_their_own() -> None:
    own = (Route("/own/a", "GET"), Route("/own/a", "OPTIONS"), Route("/mine/{x}/y", "POST"), Route("/mine", "GET"))
    others = (Route("/own/b", "GET"), Route("/{page}", "GET"))
    assert rows(*own, others=others) == [
        "p, orders:read, /mine/**, GET, allow",
        "p, orders:write, /mine/**, POST, allow",
        "p, orders:read, /own/a/**, GET, allow",
    ]
    assert "OPTIONS" not in files(*own, others=others)["tests/orders.yaml"]
    assert rows(Route("/own", "GET"), others=(Route("/own/{id}", "GET"),)) == ["p, orders:read, /own, GET, allow"]
    assert rows(Route("s:/a/", "GET"), Route("s:/a/{b}/c", "OPTIONS")) == [
        "p, orders:read, s:/a/**, GET|OPTIONS, allow"
    ]
    with pytest.raises(AmbiguousRoute):
        files(Route("/{name}", "GET"), others=(Route("/{page}", "GET"),))


def test_methods_that_only_read() -> None:
    assert [method for method in METHODS if is_reading(method)] == ["GET", "HEAD", "OPTIONS", "QUERY", "TRACE"]


def test_an_example_has_the_template_that_it_is_of() -> None:
    table = RouteTable([Route(template, "GET") for template in ("/a/{id}", "/a/7", "s:/b/{x}.{y}")])
    assert [example_path(template, table) for template in ("/a/{id}", "/a/7", "s:/b/{x}.{y}")] == [
        None,
        "/a/7",
        "s:/b/7.7",
    ]
