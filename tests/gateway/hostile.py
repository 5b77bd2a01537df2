"""Ambiguous requests, and an oracle of how a careless service might interpret what reached it."""

from __future__ import annotations

import posixpath
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from urllib.parse import unquote

from app.gateway.profiles import REQUEST_HEADERS
from tests.gateway.gateways import PROGRAMS, SECRET, Gateway
from tests.gateway.upstream import Reached, Upstream

SUBJECT = "user_reader"
OPEN = ("/v1/public", "/v1/orders/7")
SHUT = ("/v1/admin/users", "/v1/admin/keys")

# `{a}` is what the caller may read, `{b}` what it may not, `{t}` the same without its first slash.
SPELLINGS = (
    *r"""
    {b} {b}/ /{b} //{t} ///{t} {b}// {b}/. {b}/.. {b}/./ /./{t} /.//{t}
    {a}/../../admin/users {a}/..{b} {a}/../..{b} {a}/../../..{b} {a}/.{b} {a}//..//..{b}
    {a}/%2e%2e/%2e%2e{b} {a}/%2E%2E/%2E%2E/..{b} {a}/.%2e/%2e.{b} {a}/%252e%252e/%252e%252e{b}
    {a}/..%2f..%2fadmin%2fusers {a}/..%2F..%2f..{b} {a}%2f..%2f..{b} {a}/..%5c..%5cadmin%5cusers
    {a}/..\..\admin\users {a}\..\..{b} \{t} /\{t} {b}\ /v1\admin\users /v1%5cadmin%5cusers
    {b}; {b};x=1 {b};/.. {a};/../..{b} {a}/..;/..;{b} /;{b} /v1;/admin;x/users {b}%3b {a}%3b/../{t}
    {b}%00 {b}%00.html {a}%00/../..{b} %00{b} {b}%0a {b}%0d%0a {b}%09 {b}%20 %20{b} {a}%0d%0aX:%20y
    {b}# {b}#{a} {a}#{b} {a}?{b} {b}?{a} {b}%23 {b}%3f {b}? {b}?? {a}%3f/../..{b} {a}%23/../..{b}
    /v1/%61dmin/users /v1/admin/%75sers /%76%31/admin/users /v1/adm%69n/users /v1/%2561dmin/users
    /V1/ADMIN/USERS /v1/Admin/users /v1/admin%c0%afusers
    {a}/%c0%ae%c0%ae/%c0%ae%c0%ae{b} {a}/%e0%80%ae%e0%80%ae{b} {a}/%uff0e%uff0e{b} {a}/%ff {a}/%c3%28
    {a}/% {a}/%2 {a}/%zz {a}/%2%66 /v1/* /v1/{what} /v1/orders/{id} /v1/orders/* /v1/orders/** * v1/admin/users
    {b}| {b}^ {b}` {b}< {b}" {b}{ {b}} {b}[ {b}~ {b}$ {b}+ {b}, {b}: {b}@
    http://orders.example{b} http://orders.example{a} http://evil@orders.example{b} http:{b} https://x{b}
    //orders.example{b}
    /v1/orders/export:all /v1/orders/export%3Aall /v1/orders/export%3aall /v1/orders/export%253Aall
    /v1/orders/%65xport:all /v1/orders%2Fexport:all /v1/orders/export:all/ /v1/orders/7/../export:all
    /v1/orders/export:all%20 /v1/orders/%20export:all /v1/orders/export:all%C2%A0 /v1/orders/export:all%e2%80%8b
    {a}/..%20/..%20{b} {a}/%EF%BB%BF..{b}
    """.split(),
    *("", "/v1/admin/users\u00e9", "/v1/adm\u0131n/users", "{b} ", " {b}", "{b}\t", "{b}\x00", "{b}\x0b"),
    *("{a}/" + "../" * 50 + "{t}", "/" + "a/" * 3000, "/v1/orders/" + "9" * 9000),
    *("{a}?" + "q" * 15000, "/" * 3000 + "{t}"),
)

_NAMES = """
    X-Original-URI X-Original-URL X-Rewrite-URL X-Forwarded-Uri X-Forwarded-Path X-Forwarded-Prefix
    X-Envoy-Original-Path X_Original_URI X.Original.URI X-Original_URI X_Forwarded_Uri
    X-Forwarded_Uri X.Forwarded.Uri X_Rewrite_Url
    """.split()
_METHOD_NAMES = """
    X-HTTP-Method-Override X-Method-Override X-HTTP-Method X-Original-Method X-Forwarded-Method
    X_HTTP_Method_Override X_Original_Method X_Forwarded_Method X.Forwarded.Method
    """.split()
_IDENTITY = """
    X-Auth-Subject x-auth-subject X_Auth_Subject X-Auth_Subject X.Auth.Subject X-Auth-Method X-Auth-Permissions
    X_Auth_Permissions X-Auth-Revision X-Auth-Key-Id X_Auth_Key_Id X-Auth-Key_Id X-Auth-Client X_Auth_Client
    X-Auth-Organization X_Auth_Organization
    X-Gateway-Secret X_Gateway_Secret X-Gateway-Service X_Gateway_Service X-Forwarded-For X-Forwarded-Host
    """.split()
# Only a gateway states the origin of a request. The mark shows whose header reached the service.
_MARK = "6.6.6.6"
_ORIGIN = """
    X-Real-IP Forwarded True-Client-IP X-Client-IP X-Cluster-Client-IP CF-Connecting-IP X-Envoy-External-Address
    X-Forwarded-For X-Forwarded-Host X-Forwarded-Port X-Forwarded-Proto X-Forwarded-Server X-Forwarded-Scheme
    X-Forwarded-Ssl X-Original-IP X_Real_IP X.Forwarded.For
    """.split()
# A header of a new profile belongs to one of these lists, by its name.
for _header in sorted(each.decode() for each in REQUEST_HEADERS):
    _list = _METHOD_NAMES if "method" in _header else _ORIGIN if _header.endswith("-ip") else _NAMES
    if _header not in map(str.lower, _list):
        _list.extend((_header.title(), _header.title().replace("-", "_")))
_UPGRADES = (
    *(["h2c"], ["websocket, h2c"], ["h2c, websocket"], ["websocket", "h2c"], ["h2c", "websocket"], ["TLS/1.0"]),
    *([" h2c"], ["H2C"], ["websocketx"], ["websocket"], ["websocket", "TLS/1.0"], ["TLS/1.0", "websocket"]),
)
_METHODS = (
    *"""
    get Get gET GETT GE HEAD head POST PUT PATCH DELETE OPTIONS TRACE CONNECT PROPFIND MKCOL PURGE BREW WEBSOCKET
    GET/1 G-T * QUERY PRI
    """.split(),
    *("G\u00cbT", "G\tT", "GET GET", "X" * 300),
)


@dataclass(frozen=True)
class Hostile:
    """A request in bytes, and its purpose."""

    what: str
    data: bytes


def corpus(token: str) -> list[Hostile]:
    """Every hostile request, with this token."""
    return [*_paths(token), *_headers(token), *_methods(token), *_hops(token), *_framing(token)]


def mixed(token: str, seed: int, count: int) -> Iterator[Hostile]:
    """Random requests: a method, a path and some headers, each hostile or plain."""
    pick = random.Random(seed)
    names = [*_NAMES, *_METHOD_NAMES, *_IDENTITY, *_ORIGIN]
    for number in range(count):
        method = pick.choice((*_METHODS, *["GET"] * 20, "HEAD", "DELETE"))
        path = _filled(pick.choice((*SPELLINGS, *["{a}"] * 20)), *pick.choice(list(zip(OPEN, SHUT, strict=True))))
        chosen = pick.choices(names, k=pick.randrange(4))
        values = (*OPEN, *SHUT, "DELETE", "GET", "orders", "root", "", _MARK)
        headers = [f"{name}: {pick.choice(values)}" for name in chosen]
        if chosen and pick.random() < 0.3:
            headers.append(f"Connection: close, {pick.choice(chosen)}")
        yield _request(f"mixture {number} of seed {seed}", token, method=method, path=path, headers=headers)


def faults(gateway: Gateway, upstream: Upstream, hostile: Hostile) -> list[str]:
    """The faults of one request: everything that reached the service is compared with the oracle."""
    upstream.reached.clear()
    answer = gateway.send(hostile.data, 0.7)  # some of these wait for more data, which is not sent
    found = [fault for reached in list(upstream.reached) for fault in _faults(reached, gateway.name, hostile)]
    if answer.startswith(b"HTTP/") and b" 200 " in answer[:15] and not upstream.reached:
        found.append("200 without a service")
    return [f"{gateway.name}: {hostile.what}: {fault}" for fault in found]


def _faults(reached: Reached, gateway: str, hostile: Hostile) -> Iterator[str]:
    wrong = [reading for reading in readings(reached) if not reader_may(*reading)]
    if wrong:
        yield f"reached as {reached.method} {reached.target}: {wrong[:3]}"
    named = ("x-auth-subject", "x-auth-permissions", "x-auth-key-id", "x-auth-client", "x-auth-organization")
    who = tuple(reached.header(name) for name in named)
    # An HTTP/0.9 request has no headers, so it is anonymous and reaches public routes.
    is_anonymous = who == ([], [], [], [], []) and reached.target == "/v1/public" and b"HTTP/" not in hostile.data
    if who != ([SUBJECT], ["catalog:read"], [], [], []) and not is_anonymous:
        yield f"the service receives {who}"
    if SECRET in "".join(value for _, value in reached.headers) or reached.header("x-gateway-service"):
        yield "the gateway's proof reached the service"
    # The ingress controller passes on any `Upgrade`; its guide says what the service must do.
    if PROGRAMS[gateway].limits_upgrades and reached.header("upgrade") not in ([], ["websocket"]):
        yield f"a tunnel reached the service: {reached.header('upgrade')}"
    for name in _ORIGIN:
        if any(_MARK in value for value in reached.header(_folded(name))):
            yield f"the client describes itself to the service, in {name}"
    if reached.header("trailer") and PROGRAMS[gateway].drops_trailer:
        yield "a trailer is announced to the service"


def readings(reached: Reached) -> Iterator[tuple[str, str]]:
    """The possible interpretations of this request by a service: method and plain path."""
    methods = {reached.method, *(m.upper() for name in _METHOD_NAMES for m in reached.header(_folded(name)))}
    targets = {reached.target, *(uri for name in _NAMES for uri in reached.header(_folded(name)))}
    for target in targets:
        path = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*", "", target)
        path = re.split(r"[?#]", path)[0]
        seen = {path, path.split("\0")[0]}
        for _ in range(3):
            seen |= {unquote(one, errors="replace") for one in seen}
        for one in list(seen):
            folded = re.sub(r";[^/]*", "", one.replace("\\", "/"))
            seen |= {folded, posixpath.normpath("/" + folded.lstrip("/")), re.sub(r"/+", "/", folded)}
            seen |= {re.split(r"[\0?#\r\n]", each)[0].strip() for each in list(seen)}
        yield from product(methods, {one.rstrip("/") or "/" for one in seen})


def reader_may(method: str, path: str) -> bool:
    """Whether a caller with `catalog:read` is allowed by the rules, in any letter case."""
    path = path.lower()
    if method not in ("GET", "HEAD"):
        return (method, path) == ("OPTIONS", "/v1/shared")
    if path in ("/v1/public", "/v1/near", "/v1/shared"):  # HEAD follows GET if the document leaves it out
        return True
    if path == "/v1/orders/export:all":
        return False
    head, _, last = path.rpartition("/")
    return path == "/v1/orders" or (head == "/v1/orders" and bool(last) and last not in (".", ".."))


def _paths(token: str) -> Iterator[Hostile]:
    for spelling, (a, b) in product(SPELLINGS, zip(OPEN, SHUT, strict=True)):
        path = _filled(spelling, a, b)
        yield _request(f"path {path[:80]}", token, path=path)


def _filled(spelling: str, a: str, b: str) -> str:
    return spelling.replace("{a}", a).replace("{b}", b).replace("{t}", b[1:])


def _headers(token: str) -> Iterator[Hostile]:
    for name, (path, other) in product(_NAMES, ((OPEN[1], SHUT[0]), (SHUT[0], OPEN[1]))):
        for extra in ([f"{name}: {other}"], [f"{name}: {other}", f"{name}: {path}"]):
            yield _request(f"{path} with {extra}", token, path=path, headers=extra)
    for name, value in product(_METHOD_NAMES, ("DELETE", "GET", "delete")):
        yield _request(f"{name}: {value}", token, headers=[f"{name}: {value}"])
        yield _request(f"DELETE with {name}: {value}", token, method="DELETE", headers=[f"{name}: {value}"])
    for name, value in product(_IDENTITY, ("user_admin", "orders", "policies:write", "", "x" * 40)):
        yield _request(f"{name}: {value}", token, headers=[f"{name}: {value}"])
        yield _request(f"{name} twice", token, headers=[f"{name}: {value}", f"{name}: root"])
    for line in (f"Authorization: Bearer {token}x", "authorization: Basic eA==", "Authorization : Bearer x"):
        yield _request(f"a second {line[:20]}", token, headers=[line])
    for line in ("Connection: X-Auth-Subject, close", "Connection: Authorization, close", "Connection: upgrade"):
        yield _request(line, token, headers=[line])
    for line in (
        "Upgrade: websocket",
        "Expect: 100-continue",
        "Host: other",
        "X: y\r\n folded: z",
        "X\x00: y",
        ": y",
        "X",
    ):
        yield _request(line, token, headers=[line])


def _methods(token: str) -> Iterator[Hostile]:
    for method, path in product(_METHODS, (*OPEN, SHUT[0])):
        yield _request(f"{method[:20]} {path}", token, method=method, path=path)


def _hops(token: str) -> Iterator[Hostile]:
    """Hop-by-hop headers: origin, headers to drop, tunnels and trailers."""
    for name in _ORIGIN:
        for value in (_MARK, f"for={_MARK}", f"127.0.0.1, {_MARK}", f"{_MARK}, 127.0.0.1"):
            yield _request(f"{name}: {value}", token, headers=[f"{name}: {value}"])
            yield _request(f"{name} twice", token, headers=[f"{name}: {value}", f"{name}: 127.0.0.1"])
    for values, connection in product(_UPGRADES, ("Upgrade", "upgrade, HTTP2-Settings", "Upgrade, close", "close")):
        lines = [f"Connection: {connection}", *(f"Upgrade: {value}" for value in values), "HTTP2-Settings: AAMAAABkAAQ"]
        yield _request(f"{lines}", token, headers=lines)
    for name in (*_NAMES, *_METHOD_NAMES, *_IDENTITY):
        lines = [f"Connection: close, {name}", f"{name}: {SHUT[0]}"]
        yield _request(f"{name}, dropped on the way", token, headers=lines)
    for name in ("X-Auth-Subject", "X-Auth-Permissions", "X-Original-URI", "Content-Length"):
        lines = ["Transfer-Encoding: chunked", f"Trailer: {name}", "TE: trailers"]
        request = _request(f"a trailer {name}", token, headers=lines)
        yield Hostile(request.what, request.data + f"0\r\n{name}: root\r\n\r\n".encode())


def _framing(token: str) -> Iterator[Hostile]:
    inner = _request("", token, method="DELETE").data + _request("", token, path=SHUT[0]).data
    size = len(inner)
    for headers in (
        ["Content-Length: 0", f"Content-Length: {size}"],
        [f"Content-Length: {size}", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 0"],
        ["Transfer-Encoding: chunked, identity"],
        ["Transfer-Encoding : chunked"],
        ["Transfer-Encoding: xchunked"],
        ["Content-Length: +5"],
        ["Content-Length: 0x5"],
        ["Content-Length: -1"],
    ):
        for path in OPEN:
            request = _request(f"framing {headers}", token, path=path, headers=headers, method="GET")
            yield Hostile(request.what, request.data + b"0\r\n\r\n" + inner)
    for version in ("HTTP/1.0", "HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "http/1.1", "HTTP/1.1 ", ""):
        for path in (*OPEN, *SHUT):
            yield _request(f"{version} {path}", token, path=path, version=version)
    for ending in (b"\n", b"\r", b"\r\r\n", b"\n\r"):
        request = _request(f"lines end with {ending!r}", token, path=SHUT[0])
        yield Hostile(request.what, request.data.replace(b"\r\n", ending))


def _request(
    what: str,
    token: str,
    *,
    method: str = "GET",
    path: str = OPEN[1],
    version: str = "HTTP/1.1",
    headers: list[str] | None = None,
) -> Hostile:
    lines = [f"{method} {path} {version}", "Host: orders.example", f"Authorization: Bearer {token}", *(headers or [])]
    if not any(line.lower().startswith("connection") for line in lines):
        lines.append("Connection: close")
    return Hostile(what, "\r\n".join([*lines, "", ""]).encode("utf-8"))


def _folded(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
