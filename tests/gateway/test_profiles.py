"""The headers of each gateway profile, and similar ones that a program could confuse with them."""

from __future__ import annotations

import pytest

from app.gateway.profiles import PROFILES, REQUEST_HEADERS, AmbiguousRequest, OriginalRequest, Profile

OWN: dict[str, list[tuple[str, str]]] = {
    "nginx": [("x-original-method", "GET"), ("x-original-uri", "/a?b=c"), ("x-original-ip", "10.0.0.1")],
    "ingress-nginx": [("x-original-method", "GET"), ("x-original-url", "https://o/a?b=c"), ("x-real-ip", "10.0.0.1")],
    "traefik": [("x-forwarded-method", "GET"), ("x-forwarded-uri", "/a?b=c"), ("x-forwarded-for", "10.0.0.1")],
    "caddy": [("x-forwarded-method", "GET"), ("x-forwarded-uri", "/a?b=c"), ("x-forwarded-for", "10.0.0.1")],
    "envoy": [("x-envoy-external-address", "10.0.0.1")],
}
STATING: tuple[str, ...] = (
    *("x-original-method", "x-original-uri", "x-original-ip", "x-original-url", "x-forwarded-method"),
    *("x-forwarded-uri", "x-envoy-original-path", "x-forwarded-path", "x-forwarded-prefix", "x-http-method"),
    *("x-http-method-override", "x-method-override", "x-rewrite-url"),
)
STATING += tuple(sorted({header.decode() for header in REQUEST_HEADERS} - {*STATING}))
IDENTITY_HEADERS = (
    *("x-auth-subject", "x-auth-method", "x-auth-permissions", "x-auth-revision", "x-auth-key-id", "x-auth-client"),
    "x-auth-organization",
)
ONCE = ("x-gateway-secret", "x-gateway-service", "x-forwarded-host")
MANY = (*IDENTITY_HEADERS, "authorization", "x-forwarded-for")
IN_HEADERS = tuple(name for name, profile in PROFILES.items() if profile.request_headers is not None)


def read(profile: Profile, *more: tuple[str, str], without: str = "") -> OriginalRequest:
    """The original request that the headers of the profile and others state."""
    headers = [(name.encode(), value.encode()) for name, value in (*OWN[profile.name], *more) if name != without]
    return profile.read(headers, b"GET", b"/a?b=c" if profile.request_headers is None else b"")


def fault(profile: Profile, *more: tuple[str, str], without: str = "") -> str:
    """Why a question is refused; empty if it is not."""
    try:
        read(profile, *more, without=without)
    except AmbiguousRequest as refused:
        return str(refused)
    return ""


@pytest.fixture(params=PROFILES)
def profile(request: pytest.FixtureRequest) -> Profile:
    """Each profile in turn."""
    return PROFILES[request.param]


def test_the_headers_of_a_profile_state_the_request(profile: Profile) -> None:
    assert read(profile, ("x-gateway-service", "orders"), ("accept", "*/*")) == OriginalRequest(
        "GET", "/a", (b"10.0.0.1",), "orders"
    )
    for name, _ in OWN[profile.name]:
        shown = f"`{name.title()}`"
        expected = f"{profile.name} must send the header {shown}."
        is_needed = name.encode() in (profile.request_headers or ())
        assert fault(profile, without=name) == (expected if is_needed else "")


@pytest.mark.parametrize("name", STATING)
def test_every_header_of_another_family_is_refused(profile: Profile, name: str) -> None:
    own = {each for each, _ in OWN[profile.name]}
    if name not in own:
        is_unread = (profile.name, name) == ("traefik", "x-forwarded-prefix")
        expected = "" if is_unread else f"{profile.name} does not set the header `{name.title()}`."
        assert fault(profile, (name, "/a")) == expected
    assert fault(profile, (name, "/a"), (name, "/a")) == f"The header `{name.title()}` is sent more than once."


def test_a_profile_whose_headers_other_profiles_would_accept_cannot_be_made() -> None:
    for headers, missing in (
        ((b"x-orig-method", b"x-orig-path"), "`X-Orig-Method`, `X-Orig-Path`"),
        ((b"x-original-method", b"x-orig-path"), "`X-Orig-Path`"),
    ):
        with pytest.raises(ValueError, match=f"^add {missing} to REQUEST_HEADERS"):
            Profile("orig", headers, b"x-original-ip")


@pytest.mark.parametrize("name", [*STATING, *ONCE, *MANY])
@pytest.mark.parametrize("fold", [("-", "_"), ("-", ".")])
def test_every_similar_header_is_refused(profile: Profile, name: str, fold: tuple[str, str]) -> None:
    if "-" in name:
        like = fold[1].join(name.rsplit(fold[0], 1))
        assert fault(profile, (like, "x")) == f"The name of a header is similar to `{name.title()}`."


def test_a_header_similar_to_the_address_header_is_refused(profile: Profile) -> None:
    address = profile.ip.decode()
    for like in (address.replace("-", "_", 1), address.replace("-", ".", 1), address.replace("-", "_")):
        assert fault(profile, (like, "10.0.0.2")) == f"The name of a header is similar to `{address.title()}`."
        assert fault(profile, (like, "10.0.0.2"), without=address).startswith("The name of a header is similar to")


@pytest.mark.parametrize("name", ["accept", "x_custom", "x.y", "x-original", "x_original", "x-real_ips", "_", "."])
def test_other_headers_are_ignored_and_may_be_repeated(profile: Profile, name: str) -> None:
    assert read(profile, (name, "a"), (name, "b")) == read(profile)


def test_names_of_headers_are_read_in_any_case(profile: Profile) -> None:
    headers = [(name.title().encode(), value.encode()) for name, value in OWN[profile.name]]
    rest = b"" if profile.name in IN_HEADERS else b"/a?b=c"
    assert profile.read(headers, b"GET", rest) == read(profile)
    with pytest.raises(AmbiguousRequest, match="does not set the header `X-Rewrite-Url`"):
        profile.read([*headers, (b"X-Rewrite-URL", b"/b")], b"GET", rest)


def request_of(profile: Profile, uri: str, method: str = "GET") -> OriginalRequest:
    """The original request of a method and an address, without a client address."""
    if profile.name not in IN_HEADERS:
        return profile.read([], method.encode(), uri.encode())
    names = [name.encode() for name, _ in OWN[profile.name]]
    shown = f"https://o{uri}" if profile.absolute else uri
    return profile.read([(names[0], method.encode()), (names[1], shown.encode())], b"POST", b"")


@pytest.mark.parametrize(
    ("uri", "fault"),
    [
        ("/a/../b", "The path has an ambiguous spelling."),
        ("/a//b", "The path has an ambiguous spelling."),
        ("/a;b?c", "The path has an ambiguous spelling."),
        ("/a%2Fb?c", "The path encodes a character that must not be encoded."),
        ("/a%2E", "The path encodes a character that must not be encoded."),
        ("/%FF", "The path is not UTF-8."),
        ("/a%20", "A segment of the path begins or ends with a blank or an invisible character."),
        ("/a#b", "The URI has a fragment."),
        ("/a?b#c", "The URI has a fragment."),
        ("/a#?b", "The URI has a fragment."),
        ("/" + "a" * 4096, "The path is longer than 4096 bytes."),
        ("/a?" + "b" * 16_382, "The URI is longer than 16384 bytes."),
    ],
)
def test_an_ambiguous_address_is_refused(profile: Profile, uri: str, fault: str) -> None:
    with pytest.raises(AmbiguousRequest) as refused:
        request_of(profile, uri)
    assert str(refused.value) == fault


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("/", "/"),
        ("/a/?/b?//../%2F;%00", "/a/"),  # a query is ignored
        ("/%C3%A9?", "/%C3%A9"),
        ("/" + "a" * 4095, "/" + "a" * 4095),
        ("/a?" + "b" * 16_381, "/a"),
    ],
)
def test_the_path_ends_where_the_query_begins(profile: Profile, uri: str, path: str) -> None:
    assert request_of(profile, uri) == OriginalRequest("GET", path)


def test_each_method_of_the_policy_language_is_read(profile: Profile) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"):
        assert request_of(profile, "/a", method) == OriginalRequest(method, "/a")
    for method in ("WEBSOCKET", "get", "PURGE", "CONNECT", "", "GET ", " GET", "GET,POST"):
        with pytest.raises(AmbiguousRequest, match="not one that a rule can name"):
            request_of(profile, "/a", method)


@pytest.mark.parametrize("name", ONCE)
def test_a_repeated_profile_header_is_refused(profile: Profile, name: str) -> None:
    assert fault(profile, (name, "x")) == ""
    assert fault(profile, (name, "x"), (name, "x")) == f"The header `{name.title()}` is sent more than once."


@pytest.mark.parametrize("name", MANY)
def test_an_unused_header_may_be_repeated(profile: Profile, name: str) -> None:
    assert fault(profile, (name, "10.0.0.2"), (name, "10.0.0.2")) == ""


def test_the_peer_of_a_gateway_is_the_nearest_hop(profile: Profile) -> None:
    address = profile.ip.decode()
    hops = (b"10.0.0.2", b"10.0.0.1") if address != "x-forwarded-for" else (b"10.0.0.1", b"10.0.0.2")
    assert read(profile, ("x-forwarded-for", "10.0.0.2")).hops == hops
    assert read(profile, without=address).hops == ()
    if address != "x-forwarded-for":
        assert read(profile, ("x-forwarded-for", "10.0.0.2"), without=address).hops == ()
        assert fault(profile, (address, "10.0.0.2")) == f"The header `{address.title()}` is sent more than once."


@pytest.mark.parametrize("name", IN_HEADERS)
def test_a_profile_with_header_requests_has_a_fixed_path(name: str) -> None:
    headers = [(each.encode(), value.encode()) for each, value in OWN[name]]
    for more in (b"/", b"/a", b"?b=c"):
        with pytest.raises(
            AmbiguousRequest, match=f"The path of this endpoint is /gateway/{name}, and nothing after it."
        ):
            PROFILES[name].read(headers, b"GET", more)


@pytest.mark.parametrize(
    "url",
    [
        *("/a", "ftp://o/a", "https:///a", "https://o", "https://u@o/a", "https://o:123456/a", "https://o:x/a"),
        *("https://o:/a", "http:/o/a", "HTTPS://o/a", "https://o#/a", " https://o/a"),
        *("https://o?/a", "https://[::1/a", "//o/a", "https://o\\/a", "xhttps://o/a"),
    ],
)
def test_an_absolute_address_is_scheme_host_and_path(url: str) -> None:
    headers = [(b"x-original-method", b"GET"), (b"x-original-url", url.encode())]
    with pytest.raises(AmbiguousRequest, match="scheme, host and path"):
        PROFILES["ingress-nginx"].read(headers, b"GET", b"")


@pytest.mark.parametrize(
    "origin", ["http://o", "https://o", "https://a-b.example~_:1", "https://[::1]", "http://[2001:db8::A]:65535"]
)
def test_the_origin_of_an_absolute_address_decides_nothing(origin: str) -> None:
    headers = [(b"x-original-method", b"GET"), (b"x-original-url", f"{origin}/a/b?c=https://d/e".encode())]
    assert PROFILES["ingress-nginx"].read(headers, b"POST", b"") == OriginalRequest("GET", "/a/b")
    for name in (name for name in IN_HEADERS if not PROFILES[name].absolute):
        both = zip(PROFILES[name].request_headers or (), (b"GET", f"{origin}/a".encode()), strict=True)
        with pytest.raises(AmbiguousRequest, match="ambiguous spelling"):
            PROFILES[name].read(both, b"POST", b"")
