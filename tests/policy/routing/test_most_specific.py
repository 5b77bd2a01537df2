"""The most specific template of a path, by segment: text before composites before parameters before a `**`."""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import permutations

import pytest

from app.policy.routing.routes import Route, RouteTable

_TEMPLATES = (
    "/{x}/{y}",
    "/{x}/**",
    "/a/{y}",
    "/{x}-{z}/q",
    "/{x}/{y}/a",
    "/a/**",
    "/{x}/b",
    "/{x}",
    "/**",
    "/{x}/{y}-{z}",
)
_PATHS = ("/q", "/q/q", "/a/q", "/a-b/q", "/q/a-b", "/q/b", "/a/b", "/q/q/q", "/q/q/a", "/a/q/a")


def _rank(part: str) -> int:
    if part == "**":
        return 3
    return part.count("{") and (2 if part in ("{x}", "{y}") else 1)


def _matches(template: str, path: str) -> bool:
    parts, texts = template[1:].split("/"), path[1:].split("/")
    if parts[-1] == "**":
        parts[-1:] = ["*"] * max(len(texts) - len(parts) + 1, 1)
    patterns = [part.replace("{x}", "?*").replace("{y}", "?*").replace("{z}", "?*") for part in parts]
    return len(parts) == len(texts) and all(map(fnmatchcase, texts, patterns))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_path_resolves_to_its_most_specific_template_in_any_order(count: int) -> None:
    for templates in permutations(_TEMPLATES, count):
        table = RouteTable([Route(f"x:{template}", "GET") for template in templates])
        for path in _PATHS:
            found = [template for template in templates if _matches(template, path)]
            expected = min(found, key=lambda template: [_rank(part) for part in template[1:].split("/")], default=None)
            assert table.resolve(path, "x") == (expected and f"x:{expected}"), (templates, path)


@pytest.mark.parametrize(
    ("templates", "path", "template"),
    [
        (("/a/{x}", "/a/{x}/**"), "/a/q", "/a/{x}"),
        (("/a/{x}", "/a/{x}/**"), "/a/q/r", "/a/{x}/**"),
        (("/a/{x}/b", "/{x}"), "/a/q", None),
        (("/a/{x}/b", "/a/{y}/**"), "/a/q", "/a/{y}/**"),
        (("/a/{x}/b", "/a/{y}/c"), "/a/q", None),
        (("/a/{x}/b", "/a/{y}/c"), "/a/q/c", "/a/{y}/c"),
        (("/a/{x}", "/{y}/b"), "/a/b", "/a/{x}"),
        (("/a/{x}/c", "/{y}/b"), "/a/b", None),  # Litestar does not go back
    ],
)
def test_a_path_of_the_application_resolves_as_in_litestar(
    templates: tuple[str, ...], path: str, template: str | None
) -> None:
    for ordered in permutations(templates):
        assert RouteTable([Route(each, "GET") for each in ordered]).resolve(path) == template
