"""The endpoints of a document, and each part of it that is denied, with the reason."""

from __future__ import annotations

import pytest

from tests.policy.documents import document, endpoints, read, service

EXAMPLE = "an OpenAPI 3 document has `openapi: 3.1.0` and `paths:` with its endpoints"
METHODS = "the methods are DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, QUERY, TRACE"
WRITTEN_FOR = "set `openapi:` to the version that the document is written for"
EMPTY = ("its `servers` are empty", "delete them, or add a server")
BESIDE = ("unread-path", "`/a` is denied: it has other keys next to `$ref`", "write all of it in one place")


def keys(count: int) -> str:
    return "  /a: {get: {}, " + ", ".join(f"x-{number}: 1" for number in range(count - 1)) + "}"


@pytest.mark.parametrize(
    ("paths", "expected", "closed", "findings"),
    [
        ("  /a: {get: {}, put: null, summary: x, parameters: [], x-y: 1}", "GET /a|PUT /a", "", []),
        ("  x-a: {get: {}}\n  /b/: {get: {}}\n  /b: {put: {}}", "GET /b|PUT /b", "", []),
        ("  /a: {$ref: '#/paths/~1b', summary: s}\n  /b: {post: {}}", "POST /a|POST /b", "", []),
        *(
            (f"  /a: {{$ref: '#/paths/~1b', {key}: {{}}}}\n  /b: {{get: {{}}}}", "GET /b", "x:/a", [BESIDE])
            for key in ("get", "trace", "servers", "additionalOperations")
        ),
        (
            "  /a: text\n  /b: {get: {}}",
            "GET /b",
            "x:/a",
            [("unread-path", "`/a` is denied: it is not a mapping of methods", EXAMPLE)],
        ),
        (
            "  /a: {query: {}, get: {}, additionalOperations: {LINK: {}}}",
            "GET /a",
            "",
            [
                ("unread-method", f"`/a`: `{key}` requires OpenAPI 3.2", WRITTEN_FOR)
                for key in ("query", "additionalOperations")
            ],
        ),
        (
            "  /a: {GET: {}, put: {}, Connect: {}, trace: {}}",
            "PUT /a|TRACE /a",
            "",
            [
                ("unread-method", f"`/a`: `{key}` is not a method that rows can name", METHODS)
                for key in ("GET", "Connect")
            ],
        ),
        (
            "  /a: {get: {servers: []}, put: {}}",
            "PUT /a",
            "",
            [("unread-method", f"`/a`: GET is denied: {EMPTY[0]}", EMPTY[1])],
        ),
        ("  /a: {servers: [], put: {}}", "", "x:/a", [("unread-path", f"`/a` is denied: {EMPTY[0]}", EMPTY[1])]),
        ("  /a: {servers: [{url: /v}], put: {}}", "PUT /v/a", "", []),
        ("  /a: {put: {servers: [{url: /v}, {url: /w}]}, get: {}}", "GET /a|PUT /v/a|PUT /w/a", "", []),
        (keys(200), "GET /a", "", []),
        (keys(201), "", "x:/a", [("unread-path", "`/a` is denied: it has more than 200 keys", EXAMPLE)]),
    ],
)
def test_parts_that_cannot_be_read_are_denied(
    paths: str, expected: str, closed: str, findings: list[tuple[str, str, str]]
) -> None:
    found = service(document(paths))
    assert endpoints(found) == set(filter(None, expected.split("|")))
    assert set(found.closed) == set(closed.split())
    assert [(each.code, each.message, each.hint) for each in found.findings] == findings


def test_methods_since_openapi_3_2() -> None:
    paths = "  /a: {query: {}, get: {}, additionalOperations: {LINK: {}, PATCH: {}}}"
    found = service(document(paths, "openapi: 3.2.0"))
    assert endpoints(found) == {"GET /a", "PATCH /a", "QUERY /a"}
    (finding,) = found.findings
    assert finding.message == "`/a`: `LINK` is not a method that rows can name"


def test_what_cannot_be_read_is_denied_at_each_server_and_without_one() -> None:
    paths = "  /a: {get: {}}\n  /b: 7\n  /c/{id: {put: {}}\n  /d: {get: {servers: []}, put: {}}"
    found = service(document(paths, "openapi: 3.1.0\nservers: [{url: /v1}, {url: /v2}]"))
    assert endpoints(found) == {"GET /v1/a", "GET /v2/a", "PUT /v1/d", "PUT /v2/d"}
    assert set(found.closed) == {f"x:{path}" for path in ("/b", "/d", "/v1/b", "/v2/b", "/v1/c/**", "/v2/c/**")}
    lines = [(each.code, each.line) for each in found.findings]
    assert lines == [("unread-path", 5), ("unroutable-path", 6), ("unread-method", 7)]


@pytest.mark.parametrize(
    ("head", "line", "message", "hint"),
    [
        ("swagger: '2.0'", 1, "this is a Swagger 2.0 document, not an OpenAPI 3 document", "convert it to OpenAPI 3"),
        ("openapi: 3.3.0", 1, "OpenAPI 3.3.0 is not supported, only 3.0 to 3.2", "write it as OpenAPI 3.2"),
        ("openapi: 3.10.0", 1, "OpenAPI 3.10.0 is not supported, only 3.0 to 3.2", "write it as OpenAPI 3.2"),
        ("openapi: 2.0", 1, "OpenAPI 2.0 is not supported, only 3.0 to 3.2", "write it as OpenAPI 3.2"),
        ("info: {}", 0, "this is not an OpenAPI 3 document", EXAMPLE),
        *((f"openapi: {version}", 0, "", "") for version in ("3.0.4", "3.1.1", "3.2.0", "'3.1'")),
    ],
)
def test_versions_of_documents(head: str, line: int, message: str, hint: str) -> None:
    _, faults = read(document("  /a: {get: {}}", head))
    assert [(fault.line, fault.message) for fault in faults] == ([(line, message)] if message else [])
    assert all(fault.hint.startswith(hint) for fault in faults)


@pytest.mark.parametrize(
    ("urls", "servers"),
    [
        (["https://a.example/v1", "/v2"], ["https://a.example/v1"]),
        (["/v1", "/v2/"], ["/v1", "/v2/"]),
        (
            [f"https://a{number}.example" for number in range(21)],
            [f"https://a{number}.example" for number in range(20)],
        ),
        ([], []),
    ],
)
def test_the_addresses_of_a_service_are_those_of_its_first_servers(urls: list[str], servers: list[str]) -> None:
    head = "openapi: 3.1.0\nservers: [" + ", ".join(f"{{url: {url}}}" for url in urls) + "]"
    assert list(service(document("  /a: {get: {}}", head if urls else "openapi: 3.1.0")).servers) == servers


@pytest.mark.parametrize(("count", "more"), [(99, ""), (100, ""), (101, "1 more paths or methods of this document")])
def test_the_first_hundred_findings_are_listed(count: int, more: str) -> None:
    found = service(document("\n".join(f"  /x{number}?a=b: {{get: {{}}}}" for number in range(count))))
    assert len(found.findings) == min(count, 100) + bool(more)
    assert found.findings[-1].message.startswith(more)


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (
            "  /{a}{b}: {get: {}}\n  /{x}: {get: {}}",
            "`/{x}`: a request can match both this and `/{a}{b}`, so it is denied",
        ),
        (
            "  /{p:path}: {get: {}}\n  /a/{x}: {get: {}}",
            "`/a/{x}`: a request can match both this and `/{p:path}`, so GET is denied",
        ),
    ],
)
def test_an_ambiguity_names_the_denied_path_as_it_is_written(paths: str, message: str) -> None:
    found = service(document(paths))
    assert [(each.line, each.message) for each in found.findings if each.code == "ambiguous-path"] == [(4, message)]
