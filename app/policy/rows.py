"""The rows of a policy's CSV files, parsed strictly.

Casbin's own loader skips in silence what it does not understand, and a skipped deny opens access: here each
row is understood whole or refused with its line and column.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping

from app.policy.catalog import Permission
from app.policy.condition import Condition, ConditionFault, compile_condition
from app.policy.fault import Fault, did_you_mean
from app.policy.routes import METHODS, pattern_fault
from app.policy.rule import Membership, Rule

MAX_LINE = 4000
MAX_FAULTS_IN_FILE = 100
EXAMPLE_P = "p, catalog:read, /api/v1/leagues/**, GET|HEAD, allow"
EXAMPLE_G = "g, role:editor, catalog:write"

_FACTS = ("anyone", "auth:jwt", "auth:api_key", "auth:anonymous", "env:live", "env:test")
_OPEN_FACT = re.compile(r"(user:[^\s\"|]+)|(key:[1-9][0-9]{0,18})|(role:[a-z][a-z0-9_-]*)")
_THING = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*(:[^\s*{}\"|]+)?")
_VERB = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]*")


class Rows:
    """Parses files one by one, gathering rules, memberships and faults."""

    def __init__(self, catalog: Mapping[str, Permission], faults: list[Fault]) -> None:
        self.rules: list[Rule] = []
        self.memberships: list[Membership] = []
        self._catalog = catalog
        self._faults = faults
        # Large policies repeat themselves: each distinct cell is checked once.
        self._needs: dict[str, frozenset[str]] = {}
        self._patterns: dict[str, tuple[str, str] | None] = {}
        self._actions: dict[tuple[str, bool], tuple[str, ...]] = {}

    def parse(self, file: str, text: str) -> None:
        """Parse the text of one file."""
        before = len(self._faults)
        for number, line in enumerate(text.split("\n"), 1):
            if not line or line.startswith("#") or line.isspace():
                continue
            if len(self._faults) - before >= MAX_FAULTS_IN_FILE:
                self._faults.append(Fault("too-many-faults", file, number, 1, "more faults follow; mend these first"))
                return
            _Row(self, file, number, line).parse()

    def needs(self, row: _Row, cell: str) -> frozenset[str] | None:
        """The grants of a `needs` cell."""
        if (known := self._needs.get(cell)) is not None:
            return known
        grants = cell.split(" ")
        if "" in grants:
            row.fault("needs", 1, "grants are parted by one space", "name at least one grant, `anyone` for all")
            return None
        faulty = [grant for grant in grants if not self._grant(row, 1, grant)]
        if faulty:
            return None
        self._needs[cell] = frozenset(grants)
        return self._needs[cell]

    def _grant(self, row: _Row, cell: int, grant: str) -> bool:
        if grant in self._catalog or grant in _FACTS or _OPEN_FACT.fullmatch(grant):
            return True
        if grant == "*" or grant.endswith(":*"):
            hint = "there are no wildcards in grants: name each permission, or `anyone`"
        else:
            near = did_you_mean(grant, [*self._catalog, *_FACTS])
            hint = near or "add it to permissions.toml, or see policies/README.md for the facts"
        row.fault("unknown-grant", cell, f"`{grant}` is neither in the catalogue nor a fact", hint, word=grant)
        return False

    def resource(self, row: _Row, cell: str) -> bool:
        """Whether a `resource` cell is well formed."""
        if cell not in self._patterns:
            if cell.startswith("/"):
                self._patterns[cell] = pattern_fault(cell)
            elif not _THING.fullmatch(cell):
                hint = "a route starts with `/`; anything else is `type` or `type:id`"
                self._patterns[cell] = (f"`{cell}` is no resource", hint)
            else:
                self._patterns[cell] = None
        if wrong := self._patterns[cell]:
            row.fault("resource", 2, *wrong)
        return wrong is None

    def actions(self, row: _Row, cell: str, is_route: bool) -> tuple[str, ...] | None:
        """The actions of an `action` cell."""
        if known := self._actions.get((cell, is_route)):
            return known
        actions = tuple(cell.split("|"))
        for action in actions:
            if is_route and action not in METHODS:
                hint = did_you_mean(action, METHODS) or f"the methods are {', '.join(METHODS)}"
                row.fault("unknown-action", 3, f"`{action}` is no method of a route", hint, word=action)
                return None
            if not _VERB.fullmatch(action):
                row.fault(
                    "unknown-action",
                    3,
                    f"`{action}` is no action",
                    "write actions as `read|write`",
                    word=action,
                )
                return None
        if len(set(actions)) < len(actions):
            row.fault("action-twice", 3, "an action stands here twice", "name each once")
            return None
        self._actions[cell, is_route] = actions
        return actions

    def membership(self, row: _Row, member: str, grant: str) -> None:
        """A `g` row."""
        if not (self._grant(row, 1, member) and self._grant(row, 2, grant)):
            return
        if grant not in self._catalog and not grant.startswith("role:"):
            message = f"`{grant}` is a fact that only the server states; no row can add it"
            row.fault("stated-fact", 2, message, "add a permission or a role")
            return
        self.memberships.append(Membership(row.file, row.number, member, grant))


class _Row:
    """One line at hand, and how to point into it."""

    def __init__(self, rows: Rows, file: str, number: int, line: str) -> None:
        self.file = file
        self.number = number
        self._rows = rows
        self._line = line

    def parse(self) -> None:
        if len(self._line) > MAX_LINE:
            self.fault("long-line", 0, f"the line has {len(self._line)} characters, where {MAX_LINE} are the most")
            return
        cells = self._split()
        if cells is None:
            return
        kind = cells[0]
        if kind == "p" and len(cells) in (5, 6):
            self._rule(cells)
        elif kind == "g" and len(cells) == 3:
            self._rows.membership(self, cells[1], cells[2])
        else:
            self._misfit(kind, len(cells))

    def _misfit(self, kind: str, count: int) -> None:
        if count == 1 and ";" in self._line:
            self.fault("separator", 0, "the cells of a row are parted by commas", f"write `{EXAMPLE_P}`")
        elif kind == "p":
            message = f"a `p` row has 4 cells after the `p`, or 5 with a condition; this one has {count - 1}"
            self.fault("arity", min(count - 1, 6), message, f"write `{EXAMPLE_P}`")
        elif kind == "g":
            message = f"a `g` row has 2 cells after the `g`; this one has {count - 1}"
            self.fault("arity", min(count - 1, 3), message, f"write `{EXAMPLE_G}`")
        else:
            self.fault("row-type", 0, f"a row starts with `p` or `g`, not with `{kind}`", did_you_mean(kind, "pg"))

    def _rule(self, cells: list[str]) -> None:
        needs = self._rows.needs(self, cells[1])
        resource = cells[2] if self._rows.resource(self, cells[2]) else None
        actions = self._rows.actions(self, cells[3], cells[2].startswith("/"))
        effect = cells[4]
        if effect not in ("allow", "deny"):
            hint = did_you_mean(effect, ("allow", "deny")) or "write `allow` or `deny`"
            self.fault("effect", 4, f"the effect is `allow` or `deny`, not `{effect}`", hint)
            return
        condition = self._condition(cells[5]) if len(cells) == 6 else None
        if needs is None or resource is None or actions is None or (len(cells) == 6 and condition is None):
            return
        self._rows.rules.append(
            Rule(
                file=self.file,
                line=self.number,
                needs=needs,
                resource=resource,
                actions=actions,
                effect="allow" if effect == "allow" else "deny",
                condition=condition,
                order=len(self._rows.rules),
            )
        )

    def _condition(self, text: str) -> Condition | None:
        compiled = compile_condition(text)
        if isinstance(compiled, ConditionFault):
            column, _ = self._place(5)
            inside = text[: compiled.offset]
            column += compiled.offset + inside.count('"')
            self._add("condition", column, compiled.length, compiled.message, compiled.hint)
            return None
        return compiled

    def _split(self) -> list[str] | None:
        line = self._line
        if '"' not in line:
            cells = [cell.strip(" \t") for cell in line.split(",")]
        else:
            try:
                cells = next(csv.reader([line], skipinitialspace=True, strict=True))
            except csv.Error as error:
                column = line.index('"') + 1
                self._add(
                    "quotes",
                    column,
                    1,
                    f"the quotes do not fit: {error}",
                    'write a quote inside quotes as `""`',
                )
                return None
            cells = [cell if index == 5 else cell.strip(" \t") for index, cell in enumerate(cells)]
            if len(cells) != 6 or line.index('"') < self._place(5)[0] - 2:
                column = line.index('"') + 1
                self._add("quotes", column, 1, "only a condition stands in quotes", "delete the quotes")
                return None
        for index, cell in enumerate(cells[:5]):
            if "#" in cell:
                self.fault(
                    "trailing-comment",
                    index,
                    "a comment stands on a line of its own",
                    "",
                    word=cell[cell.index("#") :],
                )
                return None
        return cells

    def _place(self, cell: int) -> tuple[int, int]:
        """Column and length of a cell; of the last one there is, if there are fewer."""
        start, index, quoted = 0, 0, False
        for position, character in enumerate(self._line):
            if character == '"':
                quoted = not quoted
            elif character == "," and not quoted:
                if index == cell:
                    return self._trim(start, position)
                start, index = position + 1, index + 1
        return self._trim(start, len(self._line))

    def _trim(self, start: int, stop: int) -> tuple[int, int]:
        cell = self._line[start:stop]
        left = len(cell) - len(cell.lstrip(' \t"'))
        return start + left + 1, max(len(cell.strip(' \t"')), 1)

    def fault(self, code: str, cell: int, message: str, hint: str = "", word: str = "") -> None:
        """Note a fault at a cell of this row, or at a word within it."""
        column, length = self._place(cell)
        if word and (offset := self._line.find(word, column - 1)) >= 0:
            column, length = offset + 1, len(word)
        self._add(code, column, length, message, hint)

    def _add(self, code: str, column: int, length: int, message: str, hint: str) -> None:
        text = self._line[: MAX_LINE // 10]
        self._rows._faults.append(Fault(code, self.file, self.number, column, message, hint, length, text))
