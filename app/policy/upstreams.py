"""Upstreams: the endpoints of other services, from their OpenAPI documents.

`upstreams/orders.openapi.yaml` describes the service `orders`; rules name its endpoints as `orders:/v1/orders/**`.
Only paths and methods are read. What two readers could match differently is a fault.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, product
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import yaml

from app.policy.fault import Fault
from app.policy.routes import METHODS, SERVICE, Route, is_wild, pattern_fault, segments, split_route
from app.policy.source import Source, shown

FOLDER = "upstreams"
MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 100
MAX_FAULTS = 20

_METHODS = {method.lower(): method for method in METHODS if method != "WEBSOCKET"}
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_EXAMPLE = "an OpenAPI 3 document has `openapi: 3.1.0` and `paths:` with its endpoints"

# A document as both formats have it; whatever is no mapping or list is a text or another scalar.
_Document = Mapping[str, object]


class _Unreadable(Exception):
    """The document cannot be understood; the message says why, `line` where, 0 for unknown."""

    def __init__(self, message: str, hint: str = "", line: int = 0) -> None:
        super().__init__(message)
        self.hint = hint
        self.line = line


def load(source: Source, faults: list[Fault], before: Mapping[str, str], known: Iterable[Route]) -> tuple[Route, ...]:
    """Every endpoint of every upstream; `known` are those of the files `before`, which had no fault."""
    by_service: dict[str, list[Route]] = {}
    for route in known:
        by_service.setdefault(split_route(route.template)[0], []).append(route)
    routes: list[Route] = []
    files: dict[str, str] = {}
    for file, text in source.files.items():
        if not file.startswith(f"{FOLDER}/"):
            continue
        service = PurePosixPath(file).name.partition(".openapi.")[0]
        if not SERVICE.fullmatch(service):
            hint = "name it such as `orders.openapi.yaml`, with lower-case letters, digits and `-`"
            faults.append(Fault("upstream-name", file, 0, 0, f"`{service}` is no name of a service", hint))
        elif service in files:
            message = f"`{files[service]}` describes the service `{service}` too"
            faults.append(Fault("upstream-twice", file, 0, 0, message, "keep one of them"))
        else:
            files[service] = file
            if before.get(file) == text:
                routes += by_service.get(service, ())
                continue
            routes += _Upstream(service, file, text, faults).routes()
    return tuple(routes)


@dataclass(frozen=True, slots=True)
class _Upstream:
    service: str
    file: str
    text: str
    faults: list[Fault]

    def routes(self) -> tuple[Route, ...]:
        before = len(self.faults)
        try:
            document = _read(self.file, self.text)
            base = self._base(document)
            found = tuple(self._endpoints(document, base))
        except _Unreadable as fault:
            self.faults.append(self._at(fault.line, str(fault), fault.hint))
            return ()
        if not found and len(self.faults) == before:
            self.faults.append(self._at(0, "the document has no endpoint", _EXAMPLE))
        for template, other in islice(_ambiguous({route.template for route in found}), MAX_FAULTS):
            message = f"a path can belong to `{other}` and to `{template}`, and nothing says to which"
            path = template.partition(":")[2].removeprefix(base)
            self.faults.append(self._fault(path, message, "keep one, or make one of them more specific"))
        return found

    def _base(self, document: _Document) -> str:
        """The path that the server's address puts before every path."""
        if not isinstance(version := document.get("openapi"), str) or not version.startswith("3."):
            hint = "convert it to OpenAPI 3" if "swagger" in document else _EXAMPLE
            raise _Unreadable("this is no OpenAPI 3 document", hint)
        servers = document.get("servers", [])
        if not isinstance(servers, list):
            raise _Unreadable("`servers` is a list", _EXAMPLE, self._line("servers"))
        bases = {self._path(server) for server in servers} or {""}
        if len(bases) > 1:
            message = "the servers have different paths, so an endpoint has more than one"
            raise _Unreadable(message, "describe each in a document of its own", self._line("servers"))
        return bases.pop()

    def _path(self, server: object) -> str:
        url = server.get("url") if isinstance(server, dict) else None
        if not isinstance(url, str):
            raise _Unreadable(
                "a server has a `url`", "write `- url: https://orders.example.com`", self._line("servers")
            )
        path = urlsplit(url).path.rstrip("/") if _is_address(url) else url.rstrip("/")
        if "{" in path or (path and not path.startswith("/")):
            message = f"the server `{shown(url)}` does not say which path its endpoints lie at"
            raise _Unreadable(message, "write its path out", self._line("servers"))
        return path

    def _endpoints(self, document: _Document, base: str) -> Iterator[Route]:
        paths = document.get("paths")
        if not isinstance(paths, dict):
            raise _Unreadable("the document has no `paths`", _EXAMPLE)
        for path in list(paths):
            item = paths.pop(path)  # thousands are let go one by one: at once they would let nobody else go on
            if path.startswith("x-"):
                continue
            if not path.startswith("/") or not isinstance(item, dict):
                self.faults.append(self._fault(path, f"`{shown(path)}` is no path with its methods", _EXAMPLE))
            elif fault := pattern_fault(template := _template(self.service, base + path)):
                self.faults.append(self._fault(path, *fault))
            elif "*" in segments(template) or template.endswith("/**"):
                self.faults.append(self._fault(path, "a path has no `*`", "name the parameter: `{id}`"))
            elif unreadable := next((key for key in ("$ref", "servers") if key in item), None):
                message = f"`{unreadable}` in a path is not followed, so its endpoints are not known"
                self.faults.append(self._fault(path, message, "write the path out in this document"))
            else:
                yield from (Route(template, _METHODS[key]) for key in item if key in _METHODS)
            if len(self.faults) > MAX_FAULTS:
                return

    def _fault(self, word: str, message: str, hint: str) -> Fault:
        return self._at(self._line(word), message, hint)

    def _at(self, line: int, message: str, hint: str) -> Fault:
        text = self.text.split("\n", line)[line - 1] if line else ""
        column = len(text) - len(text.lstrip()) + 1 if text else 0
        return Fault("upstream", self.file, line, column, message, hint, max(len(text.strip()), 1), shown(text))

    def _line(self, key: str) -> int:
        """The line of a key, counted from 1; 0 where it is not found."""
        found = re.search(rf"""(?:^|[\s"'{{,]){re.escape(key)}["']?\s*:""", self.text, re.MULTILINE)
        return self.text.count("\n", 0, found.end()) + 1 if found else 0


def _template(service: str, path: str) -> str:
    return f"{service}:{path.removesuffix('/') or '/'}"


def _is_address(url: str) -> bool:
    return "://" in url or url.startswith("//")


def _ambiguous(templates: set[str]) -> Iterator[tuple[str, str]]:
    """Pairs that one path can match, where neither is the more specific: both have a parameter where the other has not.

    Two that differ in the names of their parameters alone are such a pair too.
    """
    by_length: dict[int, list[tuple[str, ...]]] = {}
    for template in sorted(templates):
        parts = segments(template)
        by_length.setdefault(len(parts), []).append(parts)
    for alike in by_length.values():
        for one, other in _meeting(alike):
            if _tangled(one, other):
                yield "/".join(min(one, other)), "/".join(max(one, other))


def _meeting(templates: Sequence[tuple[str, ...]]) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Pairs of templates of one length that may match one path.

    Those with another word in a segment never meet, so that thousands of endpoints are not each held against each.
    """
    waiting = [(templates, 0)]  # groups whose words before a segment are the same
    while waiting:
        alike, at = waiting.pop()
        if len(alike) < 2:
            continue
        if at == len(alike[0]):
            yield from combinations(alike, 2)
            continue
        wild: list[tuple[str, ...]] = []
        words: dict[str, list[tuple[str, ...]]] = {}
        for parts in alike:
            (wild if is_wild(parts[at]) else words.setdefault(parts[at], [])).append(parts)
        for same in words.values():
            waiting.append((same, at + 1))
            yield from product(wild, same)
        waiting.append((wild, at + 1))


def _tangled(one: Sequence[str], other: Sequence[str]) -> bool:
    wider = narrower = False
    for left, right in zip(one, other, strict=True):
        if left == right or (is_wild(left) and is_wild(right)):
            continue
        if is_wild(left):
            wider = True
        elif is_wild(right):
            narrower = True
        else:
            return False
    return wider == narrower


def _read(file: str, text: str) -> _Document:
    if len(text) > MAX_BYTES:
        raise _Unreadable(f"the document has {len(text)} characters, where {MAX_BYTES} are the most")
    try:
        document = _json(text) if file.endswith(".json") else _yaml(text)
    except RecursionError:
        raise _Unreadable("the document is nested too deep") from None
    if not isinstance(document, dict):
        raise _Unreadable("the document is no mapping", _EXAMPLE)
    return document


def _json(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise _Unreadable(f"not JSON: {error.msg}", line=error.lineno) from None
    except ValueError as error:  # a number with more digits than Python converts
        raise _Unreadable(f"not JSON: {error}") from None


def _once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _Unreadable(f"`{shown(twice)}` stands twice in one mapping", "keep one of them")
    return found


def _yaml(text: str) -> object:
    try:
        _check_depth(text)
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise _Unreadable(f"not YAML: {error.problem or error.context}", line=line) from None
    except yaml.YAMLError as error:
        raise _Unreadable(f"not YAML: {type(error).__name__}") from None
    return _plain(root, ()) if root else None


def _check_depth(text: str) -> None:
    """Composing recurses without a limit, in C: a deep document would end the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise RecursionError
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _plain(node: yaml.Node, path: tuple[str, ...]) -> object:
    """The part of a document that is read: keys down to the methods of each path, and the servers."""
    if len(path) > 3 or (path and path[0] not in ("openapi", "swagger", "servers", "paths")):
        return None
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, "-")) for item in node.value]
    if not isinstance(node, yaml.MappingNode):
        return str(node.value)
    found: dict[str, object] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise _Unreadable("a key is a text", line=line)
        if key.value == "<<" or key.value in found:
            what = "merges another mapping" if key.value == "<<" else "stands twice in one mapping"
            raise _Unreadable(f"`{shown(key.value)}` {what}", "write each key out once", line)
        found[key.value] = _plain(value, (*path, key.value))
    return found
