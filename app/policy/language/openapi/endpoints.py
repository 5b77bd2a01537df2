"""Collects the endpoints of a document: each method of each path, under the path of each of its servers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.policy.language.openapi.budget import CHARACTERS, DocumentBudget, Work
from app.policy.language.openapi.paths import MAX_LENGTH, RoutedPath, place
from app.policy.language.openapi.references import References
from app.policy.language.openapi.servers import Servers
from app.policy.language.openapi.tree import FIXED, Branch, Unreadable, Value
from app.policy.language.source import shown

MAX_PLACES = 50_000  # different paths of a document at all its servers
MAX_KEYS = 200  # of one path
EXAMPLE = "an OpenAPI 3 document has `openapi: 3.1.0` and `paths:` with its endpoints"

# The cost of placing a path, of a segment or parameter of it, and of a method that rows cannot name.
_PLACE_STEPS = 20
_PART_STEPS = 4
_NAME_STEPS = 8

_METHOD_OF = {key: key.upper() for key in FIXED}
METHODS = frozenset(_METHOD_OF.values())
_SINCE_3_2 = ("query", "additionalOperations")
_VERSION = re.compile(r"3\.([0-2])(\..*)?")
_METHOD_LIKE = re.compile(r"get|head|post|put|patch|delete|options|trace|query|connect", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DocumentPath:
    """A path as written in its document, and its line."""

    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Denied:
    """A part of a document that is denied: a stable code, where, why, and what to do."""

    code: str
    at: DocumentPath
    message: str
    hint: str


@dataclass(slots=True)
class Template:
    """One template: its methods, the paths that define it, and the path that closes it, if any."""

    methods: frozenset[str] = frozenset()
    routes: list[DocumentPath] = field(default_factory=list)
    closed: DocumentPath | None = None


class DocumentEndpoints:
    """The templates of a document, without its service, and the parts that are denied. Raises Unreadable."""

    def __init__(self, document: Branch, references: References, file: str, budget: DocumentBudget) -> None:
        self.templates: dict[str, Template] = {}
        self.denied: list[Denied] = []
        self._alike: dict[frozenset[str], frozenset[str]] = {}  # interned: most templates have the same methods
        self._file = file
        self._references = references
        self._minor = _minor_version(document)
        self._budget = budget
        self._servers = Servers(budget)
        self._bases = self._servers.base_paths(document.get("servers"), document.line_of("servers"))
        paths = document.get("paths")
        if not isinstance(paths, Branch):
            raise Unreadable("the document has no `paths`", EXAMPLE)
        for path, item in paths.entries.items():
            if not path.startswith("x-"):
                self._add(DocumentPath(path, paths.line_of(path)), item)

    def _add(self, at: DocumentPath, item: Value) -> None:
        """Add the endpoints of a path; parts that cannot be parsed are denied wherever they could apply."""
        try:
            if not isinstance(item, Branch):
                raise Unreadable("it is not a mapping of methods", EXAMPLE)
            found, file = self._references.follow(item, self._file)
            if found is not item and any(key in (*FIXED, "servers", "additionalOperations") for key in item.entries):
                raise Unreadable("it has other keys next to `$ref`", "write all of it in one place")
            if len(found.entries) > MAX_KEYS:
                raise Unreadable(f"it has more than {MAX_KEYS} keys", EXAMPLE)
            bases = self._bases_of(found, self._bases)
        except Unreadable as fault:
            self._deny(at, fault)
            return
        by_base: dict[str, set[str]] = {base: set() for base in bases}
        for method, operation in self._operations(at, found):
            try:
                target = self._references.follow(operation, file)[0] if isinstance(operation, Branch) else None
                for base in self._bases_of(target, bases):
                    by_base.setdefault(base, set()).add(method)
            except Unreadable as fault:
                self._deny(at, fault, method)
        for base, methods in by_base.items():
            self._place(at, self._placed(at.path, base), methods)

    def _operations(self, at: DocumentPath, item: Branch) -> Iterator[tuple[str, Value]]:
        """The methods of a path with their operations."""
        for key, value in item.entries.items():
            if key in _SINCE_3_2 and self._minor < 2:
                message = f"`{key}` requires OpenAPI 3.2"
                self._note(
                    "unread-method", at, message, "set `openapi:` to the version that the document is written for"
                )
            elif key in _METHOD_OF:
                yield _METHOD_OF[key], value
            elif key == "additionalOperations" and isinstance(value, Branch):
                self._budget.spend(Work.REFERENCES, _NAME_STEPS * len(value.entries))
                for name, operation in value.entries.items():
                    if name in METHODS:
                        yield name, operation
                    else:
                        self._unread(at, name)
            elif _METHOD_LIKE.fullmatch(key):
                self._unread(at, key)

    def _unread(self, at: DocumentPath, method: str) -> None:
        message = f"`{shown(method)}` is not a method that rows can name"
        self._note("unread-method", at, message, f"the methods are {', '.join(sorted(METHODS))}")

    def _bases_of(self, branch: Value, default: tuple[str, ...]) -> tuple[str, ...]:
        """The base paths of the servers of a path or operation, if it has its own."""
        if not isinstance(branch, Branch) or "servers" not in branch.entries:
            return default
        if branch.get("servers") in (None, []):
            raise Unreadable("its `servers` are empty", "delete them, or add a server")
        return self._servers.base_paths(branch.get("servers"), 0)

    def _deny(self, at: DocumentPath, fault: Unreadable, method: str = "") -> None:
        """Deny a path, or a method of it, at every place where a lenient parser could read it."""
        if method:
            self._note("unread-method", at, f"{method} is denied: {fault}", fault.hint)
        else:
            self._note("unread-path", at, str(fault), fault.hint)
        for base in dict.fromkeys((*self._bases, "")):
            placed = self._placed(at.path, base)
            if method:
                self._place(at, placed, set())
            else:
                self._place(at, RoutedPath(None, placed.every), set(METHODS))

    def _placed(self, path: str, base: str) -> RoutedPath:
        """Join the path with that of a server. The cost grows with its characters and segments."""
        length = len(base) + len(path)
        parts = base.count("/") + path.count("/") + path.count("{") if length <= MAX_LENGTH else 0
        self._budget.spend(Work.PLACES, _PLACE_STEPS + _PART_STEPS * parts + length // CHARACTERS)
        return place(path, base)

    def _place(self, at: DocumentPath, placed: RoutedPath, methods: set[str]) -> None:
        if placed.message:
            self._note("unroutable-path", at, placed.message, placed.hint)
        for closed in placed.closes:
            template = self._template(closed)
            template.closed = template.closed or at
            self._add_methods(template, methods)
        if placed.template is None:
            return
        template = self._template(placed.template)
        template.routes.append(at)
        self._add_methods(template, methods)

    def _add_methods(self, template: Template, methods: set[str]) -> None:
        together = template.methods | methods
        template.methods = self._alike.setdefault(together, together)

    def _template(self, name: str) -> Template:
        if name not in self.templates and len(self.templates) >= MAX_PLACES:
            raise Unreadable(f"the document has more than {MAX_PLACES} paths", "split it into several documents")
        return self.templates.setdefault(name, Template())

    def _note(self, code: str, at: DocumentPath, message: str, hint: str) -> None:
        denied = Denied(code, at, message, hint)
        if not self.denied or self.denied[-1] != denied:  # once, not for each server
            self.denied.append(denied)


def _minor_version(document: Branch) -> int:
    version = document.get("openapi")
    found = _VERSION.fullmatch(version) if isinstance(version, str) else None
    if found:
        return int(found[1])
    if "swagger" in document.entries:
        message = "this is a Swagger 2.0 document, not an OpenAPI 3 document"
        raise Unreadable(
            message, "convert it to OpenAPI 3, for example with Swagger Editor", document.line_of("swagger")
        )
    if isinstance(version, str):
        message = f"OpenAPI {shown(version)} is not supported, only 3.0 to 3.2"
        raise Unreadable(message, "write it as OpenAPI 3.2", document.line_of("openapi"))
    raise Unreadable("this is not an OpenAPI 3 document", EXAMPLE)
