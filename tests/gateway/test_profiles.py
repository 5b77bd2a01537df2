"""The headers that each gateway sets, and every other that a program could take for one of them."""

from __future__ import annotations

import pytest

from app.gateway.profiles import PROFILES, NotPlain, Original, Profile

OWN: dict[str, list[tuple[str, str]]] = {
    "nginx": [("x-original-method", "GET"), ("x-original-uri", "/a?b=c"), ("x-original-ip", "10.0.0.1")],
    "ingress-nginx": [("x-original-method", "GET"), ("x-original-url", "https://o/a?b=c"), ("x-real-ip", "10.0.0.1")],
    "traefik": [("x-forwarded-method", "GET"), ("x-forwarded-uri", "/a?b=c"), ("x-forwarded-for", "10.0.0.1")],
    "caddy": [("x-forwarded-method", "GET"), ("x-forwarded-uri", "/a?b=c"), ("x-forwarded-for", "10.0.0.1")],
    "envoy": [("x-envoy-external-address", "10.0.0.1")],
}
STATING = (
    *("x-original-method", "x-original-uri", "x-original-ip", "x-original-url", "x-forwarded-method"),
    *("x-forwarded-uri", "x-envoy-original-path", "x-forwarded-path", "x-forwarded-prefix", "x-http-method"),
    *("x-http-method-override", "x-method-override", "x-rewrite-url"),
)
ANSWERED = ("x-auth-subject", "x-auth-method", "x-auth-permissions", "x-auth-revision", "x-auth-key-id")
ONCE = ("x-gateway-secret", "x-gateway-service", "x-forwarded-host")
MANY = (*ANSWERED, "authorization", "x-forwarded-for")


def read(profile: Profile, *more: tuple[str, str], without: str = "") -> Original:
    """The request that is asked about by the profile's own headers and more."""
    headers = [(name.encode(), value.encode()) for name, value in (*OWN[profile.name], *more) if name != without]
    return profile.read(headers, b"GET", b"/a?b=c" if profile.uri is None else b"")


def fault(profile: Profile, *more: tuple[str, str], without: str = "") -> str:
    """Why a question is refused; empty where it is not."""
    try:
        read(profile, *more, without=without)
    except NotPlain as refused:
        return str(refused)
    return ""


@pytest.fixture(params=PROFILES)
def profile(request: pytest.FixtureRequest) -> Profile:
    """Each profile in turn."""
    return PROFILES[request.param]


def test_its_own_headers_state_the_request(profile: Profile) -> None:
    assert read(profile, ("x-gateway-service", "orders"), ("accept", "*/*")) == Original(
        "GET", "/a", (b"10.0.0.1",), "orders"
    )
    for name, _ in OWN[profile.name]:
        shown = f"`{name.title()}`"
        expected = f"{profile.name} must send the header {shown}."
        is_needed = name.encode() in (profile.method, profile.uri)
        assert fault(profile, without=name) == (expected if is_needed else "")


@pytest.mark.parametrize("name", STATING)
def test_every_header_of_another_family_is_refused(profile: Profile, name: str) -> None:
    own = {each for each, _ in OWN[profile.name]}
    if name not in own:
        is_unread = (profile.name, name) == ("traefik", "x-forwarded-prefix")
        expected = "" if is_unread else f"The header `{name.title()}` is none that {profile.name} sets."
        assert fault(profile, (name, "/a")) == expected
    assert fault(profile, (name, "/a"), (name, "/a")) == f"The header `{name.title()}` is sent more than once."


@pytest.mark.parametrize("name", [*STATING, *ONCE, *MANY])
@pytest.mark.parametrize("fold", [("-", "_"), ("-", ".")])
def test_every_header_that_looks_like_one_is_refused(profile: Profile, name: str, fold: tuple[str, str]) -> None:
    if "-" in name:
        like = fold[1].join(name.rsplit(fold[0], 1))
        assert fault(profile, (like, "x")) == f"A header looks like `{name.title()}` and is another."


@pytest.mark.parametrize("name", ONCE)
def test_what_a_gateway_says_once_may_not_come_twice(profile: Profile, name: str) -> None:
    assert fault(profile, (name, "x")) == ""
    assert fault(profile, (name, "x"), (name, "x")) == f"The header `{name.title()}` is sent more than once."


@pytest.mark.parametrize("name", MANY)
def test_what_decides_nothing_here_may_come_twice(profile: Profile, name: str) -> None:
    assert fault(profile, (name, "10.0.0.2"), (name, "10.0.0.2")) == ""


def test_the_address_that_a_gateway_saw_is_the_nearest_hop(profile: Profile) -> None:
    address = profile.ip.decode()
    hops = (b"10.0.0.2", b"10.0.0.1") if address != "x-forwarded-for" else (b"10.0.0.1", b"10.0.0.2")
    assert read(profile, ("x-forwarded-for", "10.0.0.2")).hops == hops
    assert read(profile, without=address).hops == ()
    if address != "x-forwarded-for":
        assert read(profile, ("x-forwarded-for", "10.0.0.2"), without=address).hops == ()
        assert fault(profile, (address, "10.0.0.2")) == f"The header `{address.title()}` is sent more than once."


@pytest.mark.parametrize("name", [name for name, profile in PROFILES.items() if profile.uri is not None])
def test_what_states_the_request_in_headers_has_nothing_behind_its_address(name: str) -> None:
    headers = [(each.encode(), value.encode()) for each, value in OWN[name]]
    with pytest.raises(NotPlain, match="without more"):
        PROFILES[name].read(headers, b"GET", b"/a")


@pytest.mark.parametrize("method", ["WEBSOCKET", "get", "PURGE", "", "GET "])
def test_a_method_that_no_rule_names_is_refused(method: str) -> None:
    with pytest.raises(NotPlain, match="not one that a rule can name"):
        PROFILES["envoy"].read([], method.encode(), b"/a")


@pytest.mark.parametrize(
    "url",
    [
        *("/a", "ftp://o/a", "https:///a", "https://o", "https://u@o/a", "https://o:123456/a", "https://o:x/a"),
        *("https://o?/a", "https://[::1/a", "//o/a", "https://o\\/a", "xhttps://o/a"),
    ],
)
def test_an_absolute_address_is_scheme_host_and_path(url: str) -> None:
    headers = [(b"x-original-method", b"GET"), (b"x-original-url", url.encode())]
    with pytest.raises(NotPlain, match="scheme, host and path alone"):
        PROFILES["ingress-nginx"].read(headers, b"GET", b"")
