"""`tests/*.yaml`: the cases that a policy must allow and deny. Parsed with the policy, run by `authz policy test`.

A case states grants, then endpoints. A list of endpoints has one verdict for all grants and endpoints:

    cases:
      - as: auth:jwt catalog:read
        allow:
          - GET|HEAD /api/v1/teams/7
        deny:
          - POST /api/v1/teams: lacks catalog:write

The grants of an app come before `for`, and those of its user after it: see `app.policy.language.caller`.

A table has a verdict for each caller and endpoint, with one column for each named caller:

      - as:
          stranger: auth:anonymous
          reader: auth:jwt catalog:read
        table:
          - GET /api/v1/teams/7: deny | allow (catalog.csv)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from app.policy.language.caller import caller_fault, caller_words, grants_in, read_caller
from app.policy.language.endpoint import endpoint_fault
from app.policy.language.expected_reason import ExpectedReason, InvalidReason, read_expected_reason
from app.policy.language.fault import Fault
from app.policy.language.given import Given, InvalidVariable, check_value, kind_of
from app.policy.language.grants import GrantHints, is_grant
from app.policy.language.permissions import Permission
from app.policy.language.row_view import RowView, place_of
from app.policy.language.source import PolicySource
from app.policy.language.when.shape import SCHEMA
from app.policy.language.yaml_document import Entries, Leaf, ListNode, Node, plain, read_document
from app.policy.language.yaml_schema import Shape

MAX_CASES = 20_000
_KEYS = ("name", "as", "given", "allow", "deny", "table")
_CASE = "write `- as: auth:jwt catalog:read`"
_FILE = "write `cases:`, and below it `- as: auth:jwt catalog:read`"
_ENDPOINT = "write `GET /api/v1/teams/7`"
_TABLE = "write `- GET /api/v1/teams/7: deny | allow`, with a verdict for each caller of `as`"
_CELL = re.compile(r"(allow|deny)(?: \((.+)\))?")
_NOTHING: Given = MappingProxyType({})
_NO_FILES: Mapping[str, str] = MappingProxyType({})

# Identifies a case independently of its place and expectation: caller, action, resource and context.
Question = tuple[frozenset[str], str, str, str]


@dataclass(frozen=True, slots=True)
class Case:
    """One expected verdict and its place in a file."""

    file: str
    line: int
    name: str
    held: frozenset[str]
    action: str
    resource: str
    allowed: bool
    why: ExpectedReason | None = None
    given: Given = field(default_factory=lambda: _NOTHING, hash=False)

    @property
    def place(self) -> str:
        """`file:line`."""
        return place_of(self.file, self.line)

    @property
    def view(self) -> RowView:
        """The case in a JSON document."""
        return RowView(self.file, self.line, None, str(self))

    @property
    def question(self) -> Question:
        """Identifies the case; its place, name and expectation do not matter."""
        context = ""
        if self.given:
            context = json.dumps({name: dict(given) for name, given in self.given.items()}, sort_keys=True, default=str)
        return self.held, self.action, self.resource, context

    def __str__(self) -> str:
        given = "".join(
            f" {name}.{key}={value}" for name, fields in self.given.items() for key, value in fields.items()
        )
        why = f" ({self.why.text})" if self.why else ""
        as_ = " ".join(caller_words(self.held))
        question = f"{self.action} {self.resource} as {as_}{given}: {'allow' if self.allowed else 'deny'}{why}"
        return f"case {self.name}: {question}" if self.name else f"case {question}"


def load(
    source: PolicySource,
    catalog: Mapping[str, Permission],
    faults: list[Fault],
    before: Mapping[str, str] = _NO_FILES,
    known: Iterable[Case] = (),
) -> tuple[Case, ...]:
    """Load the cases of all test files; faults are added to `faults`.

    `known` are the cases of the files `before`, which had no fault and the same permissions.
    """
    cases: list[Case] = []
    hints = GrantHints(catalog)
    reused = _reused(source, before, known)
    for file, text in source.files.items():
        if file in reused:
            cases += reused[file]
        elif file.startswith("tests/"):
            before_file = len(faults)
            root = read_document(file, text, faults)
            if root:
                cases += _CasesFile(Shape(source, file, faults), catalog, hints).cases(root)
            elif len(faults) == before_file:
                faults.append(Fault("wrong-type", file, 1, 1, "the file has no cases", _FILE))
    return tuple(cases)


def _reused(source: PolicySource, before: Mapping[str, str], known: Iterable[Case]) -> Mapping[str, list[Case]]:
    """The known cases of the files that did not change; none if files of rows come or go, which reasons name."""
    if {name for name in source.names if name.endswith(".csv")} != {name for name in before if name.endswith(".csv")}:
        return {}
    found: dict[str, list[Case]] = {}
    for case in known:
        found.setdefault(case.file, []).append(case)
    return {file: cases for file, cases in found.items() if before.get(file) == source.files.get(file)}


_Caller = tuple[str, frozenset[str]]
_Verdict = tuple[str, ExpectedReason | None]


class _CasesFile:
    def __init__(self, shape: Shape, catalog: Mapping[str, Permission], hints: GrantHints) -> None:
        self._shape = shape
        self._hints = hints
        self._catalog = catalog
        # A file that cannot be read has a fault already.
        self._row_files = [file for file in shape.source.names if file.endswith(".csv")]

    def cases(self, root: Node) -> Iterator[Case]:
        entries = self._shape.entries(root, ("cases",), "a test file", _FILE)
        if "cases" not in entries:
            return
        listed = entries["cases"][1]
        if not isinstance(listed, ListNode) or not listed.items:
            self._shape.fault("wrong-type", listed, "`cases` must be a list with at least one case", _CASE)
            return
        count = 0
        for node in listed.items:
            for case in self._case(node):
                count += 1
                if count > MAX_CASES:
                    message = f"the file has more than {MAX_CASES} cases"
                    self._shape.fault("too-many-cases", node, message, "split the file, or make its tables smaller")
                    return
                yield case

    def _case(self, node: Node) -> Iterator[Case]:
        entries = self._shape.entries(node, _KEYS, "a case", _CASE)
        if not entries:
            return
        # A misspelt key has a fault already, and is probably the missing one.
        misspelt = isinstance(node, Entries) and len(node.entries) > len(entries)
        if not misspelt and "as" not in entries:
            self._shape.fault("missing-key", node, "the case does not state the caller", _CASE)
        if not misspelt and not {"allow", "deny", "table"} & entries.keys():
            hint = "write `allow:` or `deny:`, and endpoints such as `- GET /api/v1/teams/7` below it"
            self._shape.fault("missing-key", node, "the case has no expectation", hint)
        name = self._shape.text(entries["name"][1], "name") if "name" in entries else ""
        callers = tuple(self._callers(entries["as"][1])) if "as" in entries else ()
        given = self._given(entries["given"][1]) if "given" in entries else _NOTHING
        for verdict in ("allow", "deny"):
            if verdict in entries:
                for line, action, resource, why in self._endpoints(entries[verdict][1], verdict):
                    for _, held in callers:
                        allowed = verdict == "allow"
                        yield Case(self._shape.file, line, name, held, action, resource, allowed, why, given)
        if "table" in entries:
            for line, action, resource, (caller, held), (verdict, why) in self._table(entries["table"][1], callers):
                row = f"{name} ({caller})" if name and caller else name or caller
                yield Case(self._shape.file, line, row, held, action, resource, verdict == "allow", why, given)

    def _callers(self, node: Node) -> Iterator[tuple[str, frozenset[str]]]:
        """Each caller's name, which only a mapping gives, and grants."""
        if isinstance(node, Entries):
            for key, below in node.entries:
                if not isinstance(below, Leaf):
                    self._shape.fault("wrong-type", below, f"`{key.value}` must be a single caller", _CASE)
                held = self._callers(below) if isinstance(below, Leaf) else ()
                # One caller even after a fault, since it has a column.
                yield str(key.value), next((grants for _, grants in held), frozenset())
            return
        for item, text in self._shape.texts(node, "as"):
            grants = text.split(" ")
            if "" in grants:
                self._shape.fault("wrong-type", item, "grants must be separated by one space", _CASE)
            for grant in filter(None, grants_in(grants)):
                if not is_grant(grant, self._catalog):
                    message = f"`{grant}` is an unknown permission"
                    self._shape.fault("unknown-grant", item, message, self._hints.hint(grant), grant)
            if wrong := caller_fault(grants):
                self._shape.fault("caller", item, *wrong)
            yield "", read_caller(grants)

    def _table(self, node: Node, callers: tuple[_Caller, ...]) -> Iterator[tuple[int, str, str, _Caller, _Verdict]]:
        """Line, action, resource, caller and verdict of each cell, except cells with a dash."""
        for item in self._shape.items(node, "table"):
            if not isinstance(item, Entries):
                self._shape.fault("wrong-type", item, "a row of a table must be an endpoint and its verdicts", _TABLE)
                continue
            for key, value in item.entries:
                verdicts = self._verdicts(value)
                if len(verdicts) != len(callers):
                    message = f"the row has {len(verdicts)} verdicts, but `as` has {len(callers)} callers"
                    self._shape.fault("table", value, message, _TABLE)
                    continue
                for action, resource in self._endpoint(key, "table"):
                    for caller, verdict in zip(callers, verdicts, strict=True):
                        if verdict:
                            yield key.line, action, resource, caller, verdict

    def _verdicts(self, node: Node) -> list[_Verdict | None]:
        """The cells of a row: `allow`, `deny`, either with a reason in parentheses, or a dash."""
        verdicts: list[_Verdict | None] = []
        for cell in self._shape.text(node, "the row").split(" | "):
            found = _CELL.fullmatch(cell.strip())
            if found:
                why = self._why_of(found[2], found[1], node) if found[2] else None
                verdicts.append((found[1], why))
            else:
                if cell.strip() != "-":
                    hint = "write `allow`, `deny`, `deny (lacks catalog:write)`, or `-` to expect nothing"
                    self._shape.fault("table", node, f"`{cell.strip()}` is not a verdict", hint, cell.strip())
                verdicts.append(None)
        return verdicts

    def _endpoints(self, node: Node, verdict: str) -> Iterator[tuple[int, str, str, ExpectedReason | None]]:
        """Line, action, resource and reason of each endpoint, written as `endpoint` or `endpoint: reason`."""
        for item in self._shape.items(node, verdict):
            pairs = item.entries if isinstance(item, Entries) else ((item, None),)
            for key, value in pairs:
                why = self._why(value, verdict) if value else None
                for action, resource in self._endpoint(key, verdict):
                    yield key.line, action, resource, why

    def _endpoint(self, node: Node, verdict: str) -> Iterator[tuple[str, str]]:
        """Each action with the resource of `GET|HEAD /api/v1/teams/7` or `read record:record-1`."""
        text = self._shape.text(node, verdict)
        words = text.split(" ")
        if text and len(words) != 2:
            self._shape.fault("endpoint", node, "an endpoint must be an action, one space and a resource", _ENDPOINT)
        elif text:
            for action in words[0].split("|"):
                if fault := endpoint_fault(action, words[1]):
                    self._shape.fault("endpoint", node, *fault)
                    return
                yield action, words[1]

    def _why(self, node: Node, verdict: str) -> ExpectedReason | None:
        text = self._shape.text(node, "the reason")
        return self._why_of(text, verdict, node) if text else None

    def _why_of(self, text: str, verdict: str, node: Node) -> ExpectedReason | None:
        why = read_expected_reason(
            text, allowed=verdict == "allow", files=self._row_files, catalog=self._catalog, hints=self._hints
        )
        if isinstance(why, InvalidReason):
            self._shape.fault("why", node, why.message, why.hint, why.word)
            return None
        return why

    def _given(self, node: Node) -> Given:
        given: dict[str, dict[str, object]] = {}
        for variable, (_, below) in self._shape.entries(node, tuple(SCHEMA), "`given`", "").items():
            if not isinstance(below, Entries):
                self._shape.fault("wrong-type", below, f"`{variable}` must be a mapping", "")
                continue
            given[variable] = {}
            for key, value in below.entries:
                name = str(key.value)
                try:
                    kind = kind_of(variable, name)
                except InvalidVariable as wrong:
                    self._shape.fault("unknown-key", key, wrong.message, wrong.hint)
                    continue
                try:
                    given[variable][name] = check_value(kind, plain(value))
                except InvalidVariable as wrong:
                    self._shape.fault("wrong-type", value, f"`{variable}.{name}`: {wrong.message}", wrong.hint)
        return MappingProxyType(given)
