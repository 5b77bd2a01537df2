"""Upstreams: the endpoints of other services, from their OpenAPI documents.

`upstreams/orders.openapi.yaml` describes the service `orders`; rules name its endpoints as `orders:/v1/orders/**`.
Paths that two programs could match differently are denied with a finding; the rest of the document applies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

from app.policy.language.fault import Fault
from app.policy.language.file_names import is_fragment, stray_fault
from app.policy.language.openapi.ambiguity import ambiguities
from app.policy.language.openapi.budget import DocumentBudget
from app.policy.language.openapi.endpoints import EXAMPLE, Denied, DocumentEndpoints, DocumentPath, Template
from app.policy.language.openapi.references import References, read
from app.policy.language.openapi.tree import Branch, Mode, Unreadable, Value
from app.policy.language.source import PolicySource, lines_of, shown
from app.policy.routing.routes import SERVICE, Route, pattern_fault

FOLDER = "upstreams/"

MAX_FINDINGS = 100  # of one document
MAX_SERVERS = 20  # of one document whose addresses are kept
_ABSOLUTE = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(?:/[A-Za-z0-9._~/-]*)?")
_ROOTED = re.compile(r"(?:/[A-Za-z0-9._~-]+)+/?")


@dataclass(frozen=True, slots=True)
class Upstream:
    """A service as its document describes it: routes, denied templates (`closed`), and findings.

    `servers` are the absolute addresses in the document, without variables, or if there are none the paths below the
    public URL, such as `/v1`. `files` are those that the document refers to, also if there is no such file; `steps` is
    the work to read it.
    """

    service: str
    file: str
    routes: tuple[Route, ...] = ()
    closed: tuple[str, ...] = ()
    findings: tuple[Fault, ...] = ()
    files: tuple[str, ...] = ()
    steps: int = 0
    servers: tuple[str, ...] = ()


def load(
    source: PolicySource, faults: list[Fault], before: Mapping[str, str], known: Iterable[Upstream]
) -> tuple[Upstream, ...]:
    """Load every upstream; `known` are those of the files `before`, which had no fault."""
    same = {file for file, text in source.files.items() if before.get(file) == text}
    reused = {upstream.file: upstream for upstream in known if same.issuperset((upstream.file, *upstream.files))}
    found: dict[str, Upstream] = {}
    steps = 0
    for file in source.files:
        if not file.startswith(FOLDER) or is_fragment(file):
            continue
        service = PurePosixPath(file).name.partition(".openapi.")[0]
        if not SERVICE.fullmatch(service):
            hint = "name it such as `orders.openapi.yaml`, with lower-case letters, digits and `-`"
            faults.append(Fault.of_file("upstream-name", file, f"`{service}` is not a valid service name", hint))
        elif service in found:
            message = f"`{found[service].file}` describes the service `{service}` too"
            faults.append(Fault.of_file("upstream-twice", file, message, "keep one of them"))
        else:
            # Reused upstreams count too, so that a policy that can be reloaded can also be loaded at start.
            earlier, budget = reused.get(file), DocumentBudget(steps)
            if earlier is None or earlier.steps > budget.steps:
                earlier = _read(source, service, file, faults, budget)
            found[service] = earlier
            steps += earlier.steps
    _find_strays(source, faults)
    return tuple(found.values())


def _find_strays(source: PolicySource, faults: list[Fault]) -> None:
    """Report files next to the documents that no other file refers to: a misnamed document would drop a service.

    Files in folders are ignored, since the references of schemas are not read.
    """
    fragments = [
        file for file in source.files if file.startswith(FOLDER) and is_fragment(file) and file.count("/") == 1
    ]
    for file in fragments:
        others = (text for other, text in source.files.items() if other.startswith(FOLDER) and other != file)
        if not any(PurePosixPath(file).name in text for text in others):
            faults.append(stray_fault(file))


def _read(source: PolicySource, service: str, file: str, faults: list[Fault], budget: DocumentBudget) -> Upstream:
    try:
        return _UpstreamReader(source, service, file, budget).upstream()
    except Unreadable as fault:
        lines = _lines(source.files[file], {fault.line})
        faults.append(_fault("upstream", file, fault.line, (str(fault), fault.hint), lines))
        return Upstream(service, file, steps=budget.spent)


class _UpstreamReader:
    def __init__(self, source: PolicySource, service: str, file: str, budget: DocumentBudget) -> None:
        self._source = source
        self._service = service
        self._file = file
        document = read(file, source.files[file], Mode.DOCUMENT)
        if not isinstance(document, Branch):
            raise Unreadable("the document is not a mapping", EXAMPLE)
        self._budget = budget
        references = References(file, document, source.files, budget)
        endpoints = DocumentEndpoints(document, references, file, budget)
        self._templates = endpoints.templates
        self._denied = endpoints.denied
        self._files = references.named
        self._servers = _addresses(document.get("servers"))

    def upstream(self) -> Upstream:
        """Build the upstream. Raises Unreadable."""
        for name, template in self._templates.items():
            if template.closed:
                for at in template.routes:
                    self._ambiguous(at, template.closed.path)
            elif wrong := pattern_fault(f"{self._service}:{name}"):
                template.closed = template.routes[0]
                self._denied.append(Denied("unroutable-path", template.routes[0], *wrong))
        unread = {name for name, template in self._templates.items() if template.closed}
        methods = {name: _with_head(template.methods) for name, template in self._templates.items()}
        for found in ambiguities(methods, unread, self._budget):
            template, other = self._templates[found.template], self._templates[found.other]
            at, beside = template.routes[0], _written(other)
            if found.methods is None:
                template.closed = template.closed or at
                self._ambiguous(at, beside.path)
            else:
                # A remaining GET would imply the denied HEAD again.
                denied = template.methods & (found.methods | {"GET"} if "HEAD" in found.methods else found.methods)
                template.methods -= denied
                self._ambiguous(at, beside.path, ", ".join(sorted(denied)))
        open_ = {name: each for name, each in self._templates.items() if each.methods and not each.closed}
        routes = tuple(
            Route(template, method)
            for template, each in ((f"{self._service}:{name}", each) for name, each in open_.items())
            for method in sorted(each.methods)
        )
        if not routes and not self._denied:
            raise Unreadable("the document has no endpoints", EXAMPLE)
        closed = tuple(f"{self._service}:{name}" for name in self._templates if name not in open_)
        return Upstream(
            self._service,
            self._file,
            routes,
            closed,
            tuple(self._findings()),
            self._files,
            self._budget.spent,
            self._servers,
        )

    def _ambiguous(self, at: DocumentPath, other: str, methods: str = "") -> None:
        what = f"{methods} is" if methods else "it is"
        message = f"a request can match both this and `{shown(other)}`, so {what} denied"
        self._denied.append(
            Denied("ambiguous-path", at, message, "keep one of them, or give one a distinct literal text")
        )

    def _findings(self) -> list[Fault]:
        denied = list(dict.fromkeys(self._denied))
        denied.sort(key=lambda each: each.at.line)
        first, rest = denied[:MAX_FINDINGS], len(denied) - MAX_FINDINGS
        lines = _lines(self._source.files[self._file], {each.at.line for each in first})
        found = [_fault(each.code, self._file, each.at.line, (_message(each), each.hint), lines) for each in first]
        if rest > 0:
            message = f"{rest} more paths or methods of this document are denied"
            found.append(Fault.of_file("unroutable-path", self._file, message, "see the first ones"))
        return found


def _addresses(servers: Value) -> tuple[str, ...]:
    """The absolute addresses of servers, else their paths: tokens of apps name one as their resource."""
    listed = servers[:MAX_SERVERS] if isinstance(servers, list) else ()
    urls = [url for server in listed if isinstance(server, Branch) and isinstance(url := server.get("url"), str)]
    return tuple(filter(_ABSOLUTE.fullmatch, urls)) or tuple(filter(_ROOTED.fullmatch, urls))


@lru_cache(maxsize=256)  # of few combinations
def _with_head(methods: frozenset[str]) -> frozenset[str]:
    """The methods of a template, with HEAD if there is GET (RFC 9110 section 9.3.2)."""
    return methods | {"HEAD"} if "GET" in methods else methods


def _written(template: Template) -> DocumentPath:
    return template.routes[0] if template.routes else template.closed or DocumentPath("", 0)


def _message(denied: Denied) -> str:
    verdict = " is denied" if denied.code in ("unroutable-path", "unread-path") else ""
    return f"`{shown(denied.at.path)}`{verdict}: {denied.message}"


def _lines(text: str, numbers: set[int]) -> dict[int, str]:
    """The lines of a text with these numbers, counted from 1."""
    last = max(numbers, default=0)
    return {number: line for number, line in zip(range(1, last + 1), lines_of(text), strict=False) if number in numbers}


def _fault(code: str, file: str, line: int, words: tuple[str, str], lines: Mapping[int, str]) -> Fault:
    message, hint = words
    text = lines.get(line, "").rstrip("\r")
    column = len(text) - len(text.lstrip()) + 1 if line else 0
    return Fault(code, file, line, column, message, hint, max(len(text.strip()), 1), shown(text))
