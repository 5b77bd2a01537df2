"""Places faults: at a word of a row, at a path of an OpenAPI document, or where a row is missing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

from app.policy.language.fault import Fault
from app.policy.language.file_names import FOLDERS
from app.policy.language.load import Policy
from app.policy.language.openapi.paths import place
from app.policy.language.rule import Rule
from app.policy.language.source import shown
from app.policy.routing.routes import is_parameter, segments, split_route

_FOLDER: Final = "upstreams"
# A key of YAML or JSON that is a path: quoted, or plain up to a colon before whitespace. Within braces a plain key has
# no bracket or comma. Each part of a text is tried once: a document may be one long line, or have only blank ones.
_QUOTED = r"""\"(\\?/[^"\n]*)"|'(/[^'\n]*)'"""
_PATH_KEY = re.compile(
    rf"""(?:^[ \t]*(?:\?[ \t]+)?(?:{_QUOTED}|(/(?:[^\s"'#][^\n]*?)??)(?<!\s))"""
    rf"""|[{{,]\s*(?:{_QUOTED}|(/(?:[^\s"'#,\[\]{{}}][^\n,\[\]{{}}]*?)??)(?<!\s)))\s*:(?=["'{{\s]|$)""",
    re.MULTILINE,
)
_PATHS_KEY = re.compile(r"""^[ \t]*["']?paths["']?\s*:|["']paths["']\s*:""", re.MULTILINE)


class DocumentLines:
    """Finds the lines of paths in the OpenAPI documents of a policy; each document is scanned once."""

    def __init__(self, policy: Policy) -> None:
        self._files = policy.source.files
        self._paths: dict[str, Mapping[str, tuple[int, int]]] = {}

    def fault(self, template: str, code: str, message: str, hint: str) -> Fault | None:
        """Create a fault at the path of an upstream's template; None for a template of the application."""
        service, path = split_route(template)
        names = (f"{_FOLDER}/{service}{ending}" for ending in FOLDERS[_FOLDER])
        file = next((name for name in names if service and name in self._files), None)
        if file is None:
            return None
        offset, end = self._span(file, path)
        text = self._files[file]
        start = text.rfind("\n", 0, offset) + 1
        line = text[start:].partition("\n")[0]
        number, column = text.count("\n", 0, offset) + 1, offset - start + 1
        return Fault(code, file, number, column, message, hint, end - offset, shown(line))

    def _span(self, file: str, path: str) -> tuple[int, int]:
        """The span of a path's key. Leading segments of a route may come from a server's address instead."""
        paths = self._paths.get(file)
        if paths is None:
            paths = self._paths[file] = _path_keys(self._files[file])
        parts = path.split("/")[1:]
        for start in range(len(parts)):
            found = paths.get("/" + "/".join(parts[start:]))
            if found is not None:
                return found
        paths_key = _PATHS_KEY.search(self._files[file])
        return paths.get("/", paths_key.span() if paths_key else (0, 1))


def _path_keys(text: str) -> Mapping[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for key in _PATH_KEY.finditer(text):
        group = next(number for number in range(1, 7) if key[number] is not None)
        path = key[group].replace("\\/", "/")
        # As in routes, where some characters are percent-encoded.
        found.setdefault(place(path).template or path, key.span(group))
    return found


class Neighbours:
    """Indexes the files by the routes of their rows that allow, to find where such a row is missing."""

    def __init__(self, policy: Policy) -> None:
        self._source = policy.source
        # By the first segments of a route: how often each file has them, by total number of segments, and with `/**`,
        # which is a row of all lengths from that on.
        self._files: dict[tuple[str, ...], Counter[tuple[int, bool, str]]] = {}
        for resource, file in {
            (rule.resource, rule.file): None for rule in policy.rules if rule.is_route and rule.effect == "allow"
        }:
            base = resource.removesuffix("/**")
            parts = segments(base)
            for shared in range(len(parts) + 1):
                self._files.setdefault(parts[:shared], Counter())[len(parts), base != resource, file] += 1

    def fault(self, template: str, code: str, message: str, hint: str) -> Fault:
        """Create a fault for a missing row, at the end of the file with the most rows for the nearest resources."""
        file = self._nearest(template)
        line = max(self._source.files.get(file, "").count("\n"), 1)
        text = self._source.line(file, line)
        return Fault(code, file, line, 1, message, hint, max(len(text), 1), text)

    def _nearest(self, template: str) -> str:
        parts = segments(template)
        while is_parameter(parts[-1]):  # an item belongs where its list does
            parts = parts[:-1]
        for shared in range(len(parts), -1, -1):
            if near := self._files.get(parts[:shared]):
                distances: Counter[tuple[int, str]] = Counter()
                for (length, is_open, file), count in near.items():
                    more = len(parts) - length
                    distances[0 if is_open and more > 0 else abs(more), file] += count
                _, _, file = min((distance, -count, file) for (distance, file), count in distances.items())
                return file
        return next((file for file in self._source.files if file.endswith(".csv")), "policy.csv")


def fault_at_rule(rule: Rule, policy: Policy, code: str, message: str, hint: str, *, word: str = "") -> Fault:
    """Create a fault at a rule, or at a word of it."""
    text = policy.source.line(rule.file, rule.line)
    start = 0
    if word and word not in rule.needs:
        # The word may occur in earlier cells too: search after them.
        start = text.find(rule.resource, text.find(",", text.find(",") + 1))
        start += len(rule.resource) if word != rule.resource else 0
    start = max(text.find(word, start), 0) if word else 0
    return Fault(code, rule.file, rule.line, start + 1, message, hint, len(word) or len(text), text)
