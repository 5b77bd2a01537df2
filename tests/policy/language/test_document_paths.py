"""A path of a document becomes a template, or denies each template that another program may read it as."""

from __future__ import annotations

import pytest

from app.policy.language.openapi.paths import RoutedPath, place

BRACES = ("its braces do not match", "write a parameter as `{id}`")
NEVER = ("no request can have such a path", "remove empty and dot segments and `;`")
ENCODED = ("gateways refuse paths that encode these characters", "write the characters literally")
STAR = ("it has a `*`", "name the parameter: `{id}`")
NAME_HINT = "name it with letters, digits, `_`, `-` and `.`; it stands for one segment or a part of one"
REMOVE = "remove it; the path without it is denied"
FROM_ROOT = ("it does not start with `/`", "write it from the root: `/orders`")
EIGHT = "-".join(f"{{p{number}}}" for number in range(8))


@pytest.mark.parametrize(
    ("path", "template", "closes"),
    [
        ("/", "/", ""),
        ("/a", "/a", ""),
        ("/a/", "/a", ""),
        ("/a/{id}/", "/a/{id}", ""),
        ("/x/{1a}/{a..b}", "/x/{1a}/{a..b}", ""),
        ("/{a}-{b}", "/{a}-{b}", ""),
        (f"/{EIGHT}", f"/{EIGHT}", ""),
        ("/a:b", "/a:b", ""),
        ("/a,b|c", "/a%2Cb%7Cc", ""),
        ("/a b/ä", "/a%20b/%C3%A4", ""),
        ("/a%41%2Eb%2e", "/aA.b.", ""),
        ("/:id/x", "/:id/x", "/{_}/x"),
        ("/a/<id>/{b}", "/a/%3Cid%3E/{b}", "/a/{_}/{b}"),
        ("/a/[id]", "/a/%5Bid%5D", "/a/{_}"),
        ("/a" * 60, "/a" * 60, ""),
        ("/" + "a" * 4095, "/" + "a" * 4095, ""),
    ],
)
def test_a_path_is_a_template(path: str, template: str, closes: str) -> None:
    assert place(path) == RoutedPath(template, tuple(closes.split()))


@pytest.mark.parametrize(
    ("path", "closes", "fault"),
    [
        ("", "/", FROM_ROOT),
        ("a/b", "/a/b", FROM_ROOT),
        ("a/:b", "/a/:b /a/{_}", FROM_ROOT),
        ("/a?x={y}", "/a", ("it has a query, which is not a part of a path", REMOVE)),
        ("/?x", "/", ("it has a query, which is not a part of a path", REMOVE)),
        ("/a#b", "/a", ("it has a fragment, which is not a part of a path", REMOVE)),
        ("/a/{b", "/a/**", BRACES),
        ("/a/b}/c", "/a/**", BRACES),
        ("/x/a{b{c}}/d", "/x/**", BRACES),
        ("/a}b", "/**", BRACES),
        ("/a/{id}x}/b", "/a/**", BRACES),
        ("/a" * 61, "/a" * 60 + "/**", ("it has more than 60 segments", "write a parameter as `{id}`")),
        ("/{x}" + "/a" * 60, "/**", ("it has more than 60 segments", "write a parameter as `{id}`")),
        ("/" + "a" * 4096, "/**", ("it has more than 4096 characters", "write a shorter one")),
        ("/{a}/{a}", "/{a}/{a}", ("two of its parameters have the same name", "rename one of them")),
        ("/{a}-{a}", "/{a}-{a}", ("two of its parameters have the same name", "rename one of them")),
        ("//a", "", NEVER),
        ("/a/./b", "", NEVER),
        ("/a/../b", "", NEVER),
        ("/a;b", "", NEVER),
        ("/a%2Fb", "", ENCODED),
        ("/a%5c", "", ENCODED),
        ("/a%25", "", ENCODED),
        ("/a%3Bb", "", ENCODED),
        ("/a%00", "", ENCODED),
        ("/a%7F", "", ENCODED),
        ("/a%zz", "", ENCODED),
        ("/a/*/c", "/a/** /a/{_}/c", STAR),
        ("/a/**", "/a/** /a/{_}", STAR),
        ("/b/a*{b}/{c:path}/d", "/b/** /b/{_}/**", STAR),
        ("/{}", "/{_}", ("`{}` is not a valid parameter name", NAME_HINT)),
        ("/x/{a b}/y", "/x/{_}/y", ("`{a b}` is not a valid parameter name", NAME_HINT)),
        ("/x/{p:path}/y/z", "/x/** /x/{_}/y/z", ("`{p:path}` is not a valid parameter name", NAME_HINT)),
        ("/{a/b}/c", "/** /{_}/c", ("`{a/b}` is not a valid parameter name", NAME_HINT)),
        ("/x/{a+}/y", "/x/** /x/{_}/y", ("`{a+}` is not a valid parameter name", NAME_HINT)),
        ("/x/{id?}/y", "/x/** /x/{_}/y /x", ("`{id?}` is not a valid parameter name", NAME_HINT)),
        ("/{id?}", "/** /{_} /", ("`{id?}` is not a valid parameter name", NAME_HINT)),
        ("/x/{a}{b}/y", "/x/{_}/y", ("the parameters of `{a}{b}` are ambiguous", "separate them by text")),
        (f"/{EIGHT}-{{q}}", "/{_}", (f"the parameters of `{EIGHT}-{{q}}` are ambiguous", "separate them by text")),
    ],
)
def test_a_path_that_is_no_template_is_denied_in_each_reading(path: str, closes: str, fault: tuple[str, str]) -> None:
    assert place(path) == RoutedPath(None, tuple(closes.split()), *fault)


def test_a_path_is_joined_to_that_of_its_server() -> None:
    assert place("/a", "/v1") == RoutedPath("/v1/a")
    assert place("/", "/v1") == RoutedPath("/v1")
    assert place("a", "/v1") == RoutedPath(None, ("/v1/a",), *FROM_ROOT)
    assert place("/{b", "/v1").closes == ("/v1/**",)
    assert place("/a", "/:v").every == ("/:v/a", "/{_}/a")
