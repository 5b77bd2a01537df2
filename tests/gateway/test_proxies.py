"""The client's address behind trusted proxies: a client never determines its own address."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest

from app.gateway import proxies
from app.gateway.profiles import PROFILES
from app.gateway.proxies import TrustedProxies, parse_hop
from tests.gateway.gateways import SECRET
from tests.support.balancer import balancer
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

TRUSTED = TrustedProxies([ip_network("10.0.0.0/8"), ip_network("fd00::/8"), ip_network("192.0.2.9/32")])
CLIENT, PROXY = "203.0.113.7", "10.0.0.9"


@pytest.mark.parametrize(
    ("hop", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        (" 203.0.113.7\t", "203.0.113.7"),
        ("203.0.113.7:51034", "203.0.113.7"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("[::ffff:cb00:7107]:80", "203.0.113.7"),
        *((text, None) for text in ("", " ", "unknown", "_hidden", "localhost", "203.0.113", "203.0.113.7.1")),
        *((text, None) for text in ("203.0.113.07", "0xcb.0.113.7", "3405803783", "203.0.113.7/32", "203.0.113.7:x")),
        *(
            (text, None)
            for text in (
                "203.0.113.7:",
                "203.0.113.7:999999",
                "203.0.113.7:٤٤٣",
                "[203.0.113.7]",
                "[2001:db8::1",
                "::1]:80",
            )
        ),
        *(
            (text, None)
            for text in ("fe80::1%eth0", "[2001:db8::1]443", '"203.0.113.7"', "for=203.0.113.7", "٢٠٣.0.1.7")
        ),
    ],
)
def test_a_hop_is_one_address_or_none(hop: str, address: str | None) -> None:
    found = parse_hop(hop)
    assert (str(found) if found else None) == address


@pytest.mark.parametrize(
    ("peer", "lines", "client"),
    [
        (CLIENT, [], CLIENT),
        (CLIENT, ["10.1.1.1"], CLIENT),  # not from a proxy, so ignored
        (CLIENT, ["garbage"], CLIENT),
        (PROXY, [CLIENT], CLIENT),
        (PROXY, [f"10.1.1.1, {CLIENT}"], CLIENT),  # forged by the client, before the entry of the proxy
        (PROXY, [f"198.51.100.1, {CLIENT}, 10.0.0.8"], CLIENT),
        (PROXY, [f"{CLIENT}, 192.0.2.9,10.0.0.8"], CLIENT),
        (PROXY, ["198.51.100.1", f"{CLIENT}", "10.0.0.8"], CLIENT),  # several lines are one list
        (PROXY, [f"{CLIENT}:51034, [fd00::1]:443"], CLIENT),
        (PROXY, ["::ffff:203.0.113.7, ::ffff:10.0.0.8"], CLIENT),
        ("::ffff:10.0.0.9", [CLIENT], CLIENT),
        ("::ffff:203.0.113.7", ["10.1.1.1"], CLIENT),
        ("fd00::1", ["2001:db8::5"], "2001:db8::5"),
        (PROXY, [f"garbage, {CLIENT}"], CLIENT),  # entries before the client are ignored
        # Unknown: the header is missing, unreadable, or lists only proxies.
        *((PROXY, lines, None) for lines in ([], [""], [" , "], ["unknown"], [f"{CLIENT}, unknown"], [f"{CLIENT},"])),
        *((PROXY, lines, None) for lines in ([f"{CLIENT}, _hidden, 10.0.0.8"], ["10.0.0.8"], ["10.1.1.1, 10.0.0.8"])),
        (None, [CLIENT], None),
        ("/run/socket", [CLIENT], None),
    ],
)
def test_the_client_is_the_rightmost_hop_that_is_no_trusted_proxy(
    peer: str | None, lines: list[str], client: str | None
) -> None:
    headers = [(b"x-forwarded-for", line.encode()) for line in lines]
    assert TRUSTED.client_of(peer, [*headers, (b"forwarded", b"for=10.1.1.1"), (b"x-real-ip", b"10.1.1.1")]) == client


@pytest.mark.parametrize(("count", "client"), [(0, CLIENT), (1, CLIENT), (31, CLIENT), (32, None), (40, None)])
def test_a_client_behind_more_than_32_proxies_is_unknown(count: int, client: str | None) -> None:
    hops = [CLIENT, *(f"10.0.{number}.1" for number in range(count))]
    for lines in ([", ".join(hops)], hops):  # in any number of lines
        encoded = [line.encode() for line in lines]
        assert TRUSTED.client_behind(encoded) == client
        headers = [(b"x-forwarded-for", line) for line in encoded]
        # The peer, which is a proxy too, is the first of them.
        assert TRUSTED.client_of(PROXY, headers) == (client if count < 31 else None)


@pytest.mark.parametrize(("size", "client"), [(64, CLIENT), (65, None)])
def test_a_hop_has_64_bytes_at_most(size: int, client: str | None) -> None:
    for hop in (CLIENT.ljust(size), CLIENT.rjust(size)):
        assert TRUSTED.client_behind([hop.encode()]) == client
        assert TRUSTED.client_behind([f"{hop},10.0.0.8".encode()]) == client
        assert TRUSTED.client_behind([f"{'x' * 100},{CLIENT}".encode()]) == CLIENT, "it comes before the client"


def test_only_proxy_hops_mean_no_client() -> None:
    for lines in ([], [b""], [b",,,"], [b"10.0.0.1"], [b"10.0.0.1, fd00::1"]):
        assert TRUSTED.client_behind(lines) is None
    assert TrustedProxies(()).client_behind([b"10.0.0.1, fd00::1"]) == "fd00::1"
    assert TrustedProxies(()).client_behind([]) is None


def test_a_trusted_proxy_is_an_address_in_one_of_the_networks() -> None:
    for address in ("10.0.0.0", "10.255.255.255", "fd00::1", "192.0.2.9", "::ffff:10.1.1.1"):
        assert TRUSTED.trusts(address) is True
        assert TrustedProxies(()).trusts(address) is False
        assert TrustedProxies(None).trusts(address) is False
    for address in ("9.255.255.255", "11.0.0.0", "fe00::", "192.0.2.8", "192.0.2.10", "unknown", "", "/run/socket"):
        assert TRUSTED.trusts(address) is False


@pytest.mark.parametrize(("more", "reads"), [(4_095, 0), (4_096, 1)])
def test_4096_hops_are_cached(monkeypatch: pytest.MonkeyPatch, more: int, reads: int) -> None:
    """However many addresses and headers callers have."""
    read: list[str] = []

    def noted(hop: str) -> object:
        read.append(hop)
        return parse_hop(hop)

    monkeypatch.setattr(proxies, "parse_hop", noted)
    trusted = TrustedProxies([])
    assert trusted.client_behind([CLIENT.encode()]) == CLIENT
    for number in range(more):
        trusted.client_behind([b"hop %d" % number])
    del read[:]
    assert trusted.client_behind([CLIENT.encode()]) == CLIENT
    assert read == [CLIENT] * reads


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip", "via"])
def test_without_stated_proxies_a_forwarded_request_has_no_known_address(header: str) -> None:
    headers = [(header.encode(), b"10.1.1.1")]
    assert TrustedProxies(None).client_of(CLIENT, []) == CLIENT
    assert TrustedProxies(None).client_of(CLIENT, headers) is None
    assert TrustedProxies(()).client_of(CLIENT, headers) == CLIENT


@pytest.mark.parametrize(
    ("network", "within", "without"),
    [
        ("::ffff:10.0.0.0/104", ("10.0.0.0", "10.255.255.255", "::ffff:10.1.1.1"), ("9.255.255.255", "11.0.0.0")),
        ("::ffff:10.0.0.7/128", ("10.0.0.7",), ("10.0.0.6", "10.0.0.8")),
        ("::ffff:0.0.0.0/96", ("0.0.0.0", "255.255.255.255"), ("::1", "2001:db8::1")),
        ("::ffff:0.0.0.0/97", ("0.0.0.0", "127.255.255.255"), ("128.0.0.0",)),
        # Wider than all IPv4 addresses, so it is an IPv6 network, which contains none of them.
        ("::ffff:0:0/95", ("::fffe:1:1",), ("10.0.0.1", "::fffd:1:1")),
        ("::/0", ("::1", "2001:db8::1"), ("10.0.0.1",)),
        ("0.0.0.0/0", ("10.0.0.1", "::ffff:10.0.0.1"), ("::1", "2001:db8::1")),
    ],
)
def test_a_mapped_network_is_its_ipv4_network(network: str, within: tuple[str, ...], without: tuple[str, ...]) -> None:
    trusted = TrustedProxies([ip_network(network, strict=False)])
    assert {address: trusted.trusts(address) for address in (*within, *without)} == {
        **dict.fromkeys(within, True),
        **dict.fromkeys(without, False),
    }


ROWS = """p, catalog:read, /api/v1/teams, GET|HEAD, allow
p, catalog:read, /api/v1/teams/{team_id}, GET|HEAD, allow, "params.team_id == '1' && ip_in(request.ip, '127.0.0.1/32')"
p, catalog:read, /api/v1/teams/{team_id}, GET|HEAD, allow, "params.team_id == '2' && ip_in(request.ip, '127.0.0.2/32')"
p, catalog:read, /api/v1/teams/{team_id}, GET|HEAD, allow, "params.team_id == '3' && ip_in(request.ip, '10.0.0.0/8')"
p, catalog:read, /api/v1/teams/{team_id}, GET|HEAD, allow, "params.team_id == '4'"
p, catalog:read, /api/v1/teams/{team_id}, GET|HEAD, deny, "params.team_id == '4' && ip_in(request.ip, '10.0.0.0/8')"
"""
OLD = "p, catalog:read, /api/v1/teams/**, GET|HEAD, allow\n"
# Each with a header by which a client may pose as another.
FORGED: list[list[tuple[str, str]]] = [
    [],
    [("X-Forwarded-For", "10.0.0.1")],
    [("X-Forwarded-For", "10.0.0.1, 127.0.0.1")],
    [("X-Forwarded-For", "10.0.0.1"), ("X-Forwarded-For", "127.0.0.1")],
    [("X_Forwarded_For", "10.0.0.1")],
    [("Forwarded", "for=10.0.0.1"), ("X-Real-IP", "10.0.0.1"), ("True-Client-IP", "10.0.0.1")],
    [("X-Forwarded-For", "unknown")],
]


def addressed(server: Server) -> Server:
    """A server with rows about addresses: team 1 for that of the proxy, 2 for the client, 3 for private ones."""
    file = server.policy_dir / "catalog.csv"
    assert OLD in file.read_text()
    file.write_text(file.read_text().replace(OLD, ROWS))
    return server


def opened(url: str, token: str, headers: list[tuple[str, str]]) -> set[int]:
    """The teams that a client at 127.0.0.2 reaches; the tables are empty, so an allowed request gets 404."""
    transport = httpx.HTTPTransport(local_address="127.0.0.2")
    sent = [*headers, ("Authorization", f"Bearer {token}")]
    with httpx.Client(base_url=url, transport=transport, timeout=20) as client:
        statuses = {team: client.get(f"/api/v1/teams/{team}/", headers=sent).status_code for team in (1, 2, 3, 4)}
    assert set(statuses.values()) <= {403, 404}
    return {team for team, status in statuses.items() if status == 404}


@pytest.fixture(scope="module")
def behind(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """The shipped nginx, and a server behind it that trusts 127.0.0.1."""
    directory = tmp_path_factory.mktemp("behind")
    server = addressed(
        Server(
            directory, jwks_url=issuer.jwks_url, issuer=issuer.url, trusted_proxies="127.0.0.1", gateway_secrets=SECRET
        )
    )
    with ExitStack() as stack:
        stack.enter_context(server)
        yield server, stack.enter_context(balancer(tmp_path_factory.mktemp("nginx"), [server.url]))


@pytest.mark.parametrize("forged", FORGED)
def test_the_shipped_nginx_passes_the_client_address(
    behind: tuple[Server, str], issuer: LiveIssuer, forged: list[tuple[str, str]]
) -> None:
    server, nginx = behind
    token = issuer.token(permissions=["catalog:read"])
    assert opened(nginx, token, forged) == {2, 4}
    assert opened(server.url, token, forged) == {2, 4}, "past the proxy, from an untrusted peer"
    assert {"127.0.0.2"} == {
        entry["client"] for entry in server.written_log() if entry.get("path") == "/api/v1/teams/3/"
    }


def test_a_trusted_peer_without_a_client_gets_no_exception(behind: tuple[Server, str], issuer: LiveIssuer) -> None:
    server, _ = behind
    with server.client(issuer.token(permissions=["catalog:read"])) as client:
        for headers in ({}, {"X-Forwarded-For": "unknown"}, {"X-Forwarded-For": "127.0.0.1"}):
            statuses = [client.get(f"/api/v1/teams/{team}/", headers=headers).status_code for team in (1, 2, 3, 4)]
            assert statuses == [403] * 4, headers
        assert client.get("/api/v1/teams/2/", headers={"X-Forwarded-For": "127.0.0.2"}).status_code == 404


def test_without_stated_proxies_an_address_condition_denies(issuer: LiveIssuer, tmp_path: Path) -> None:
    token = issuer.token(permissions=["catalog:read"])
    nginx = tmp_path / "nginx"
    nginx.mkdir()
    server = addressed(Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url))
    with server, balancer(nginx, [server.url]) as url:
        assert opened(url, token, []) == set()
        warned = [
            entry for entry in server.written_log() if "AUTHZ_TRUSTED_PROXIES is not set" in str(entry.get("event"))
        ]
        assert len(warned) == 1
        assert opened(server.url, token, []) == {2, 4}
        assert opened(server.url, token, FORGED[1]) == set()


ADDRESSES: list[tuple[str, list[tuple[str, str]], int]] = [
    ("nginx", [("X-Original-IP", "127.0.0.2")], 200),
    ("nginx", [("X-Original-IP", "127.0.0.2"), ("X-Forwarded-For", "10.0.0.1")], 200),
    ("nginx", [("X-Original-IP", "127.0.0.1"), ("X-Forwarded-For", "127.0.0.2")], 200),
    ("nginx", [("X-Original-IP", "127.0.0.1"), ("X-Forwarded-For", "127.0.0.2, 127.0.0.1")], 200),
    ("nginx", [("X-Original-IP", "127.0.0.1"), *((("X-Forwarded-For", a)) for a in ("9.9.9.9", "127.0.0.2"))], 200),
    ("nginx", [("X-Original-IP", "127.0.0.1"), *((("X-Forwarded-For", a)) for a in ("127.0.0.2", "9.9.9.9"))], 403),
    ("nginx", [("X-Original-IP", "127.0.0.1")], 403),
    ("nginx", [("X-Original-IP", "10.0.0.1"), ("X-Forwarded-For", "127.0.0.2")], 403),
    ("nginx", [("X-Forwarded-For", "127.0.0.2")], 403),
    ("traefik", [("X-Forwarded-For", "127.0.0.2")], 200),
    ("traefik", [("X-Forwarded-For", "127.0.0.2"), ("X-Forwarded-For", "127.0.0.1")], 200),
    ("traefik", [("X-Forwarded-For", "127.0.0.2, 10.0.0.1")], 403),
    ("caddy", [("X-Forwarded-For", "9.9.9.9, 127.0.0.2:4321, 127.0.0.1")], 200),
    ("caddy", [("X-Forwarded-For", "127.0.0.1")], 403),
    ("caddy", [], 403),
    ("envoy", [("X-Envoy-External-Address", "127.0.0.2")], 200),
    ("envoy", [("X-Envoy-External-Address", "127.0.0.1"), ("X-Forwarded-For", "127.0.0.2, 127.0.0.1")], 200),
    ("envoy", [("X-Forwarded-For", "127.0.0.2")], 403),
    ("ingress-nginx", [("X-Real-IP", "127.0.0.2"), ("X-Forwarded-For", "127.0.0.2")], 200),
    ("ingress-nginx", [("X-Real-IP", "127.0.0.1"), ("X-Forwarded-For", "127.0.0.2, 127.0.0.1")], 200),
    ("ingress-nginx", [("X-Forwarded-For", "127.0.0.2")], 403),
]


def test_the_addresses_of_every_gateway_are_tested() -> None:
    assert {profile for profile, _, _ in ADDRESSES} == PROFILES.keys()


@pytest.mark.parametrize(("profile", "headers", "status"), ADDRESSES)
def test_the_address_list_of_a_gateway_is_used_only_behind_a_trusted_proxy(
    behind: tuple[Server, str], issuer: LiveIssuer, profile: str, headers: list[tuple[str, str]], status: int
) -> None:
    server, _ = behind
    uri, stated = "/api/v1/teams/2", PROFILES[profile].request_headers
    shown = f"https://api.example{uri}" if PROFILES[profile].absolute else uri
    sent = [*headers, ("X-Gateway-Secret", SECRET)]
    if stated is not None:
        sent += [(stated[0].decode(), "GET"), (stated[1].decode(), shown)]
    path = f"/gateway/{profile}" if stated is not None else f"/gateway/{profile}{uri}"
    with server.client(issuer.token(permissions=["catalog:read"])) as client:
        assert client.get(path, headers=sent).status_code == status
