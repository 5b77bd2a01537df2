"""Parses the rows of a policy's CSV files strictly.

Casbin's own loader silently skips invalid rows, and a skipped deny opens access. Here each row is parsed completely
or refused with its line and column.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

from app.policy.language.ask_rows import ask_fault, is_ask_row
from app.policy.language.fault import Fault, did_you_mean
from app.policy.language.grants import GrantHints, is_grant
from app.policy.language.nearby_rows import NearbyRows
from app.policy.language.permissions import Permission
from app.policy.language.rule import THING, VERB, Effect, Membership, Rule, RuleTerms
from app.policy.language.source import MAX_LINE, SHOWN, lines_of
from app.policy.language.when.condition import Condition, ConditionFault, compile_condition
from app.policy.routing.routes import METHODS, is_route, pattern_fault

MAX_FAULTS_IN_FILE = 100
MAX_FAULTS_IN_ROW = 20
EXAMPLE_P = "p, catalog:read, /api/v1/leagues/**, GET|HEAD, allow"
EXAMPLE_G = "g, role:editor, catalog:write"

_EFFECTS: Mapping[str, Effect] = {"allow": "allow", "deny": "deny"}
_BLANKS = " \t"
# A cell of RFC 4180 and its separator, without the blanks around it.
# Possessive, since backtracking takes the cube of the blanks before an unmatched quote.
_CELL = re.compile(r'[ \t]*+("(?:[^"]|"")*+"|[^",]*+)[ \t]*+(,|\Z)')
_COMMA = re.compile(",")
_CLOSED = re.compile(r'"(?:[^"]|"")*+"[ \t]*+')
_ROLE = re.compile(r"(?<![^\s,])role:[a-z][a-z0-9_-]*(?![^\s,])")
_KINDS = {"p": ("row type", "needs", "resource", "action", "effect", "condition"), "g": ("row type", "member", "grant")}


def _roles_in(texts: Iterable[str]) -> frozenset[str]:
    """The roles in all files, including rows not parsed yet. Computed only for hints."""
    return frozenset(role for text in texts for role in _ROLE.findall(text))


class Rows:
    """Parses files one by one and collects rules, memberships and faults. `templates` are known to be valid resources.

    `texts` are the texts of all files; hints for unknown grants may suggest their roles.
    """

    def __init__(
        self,
        catalog: Mapping[str, Permission],
        faults: list[Fault],
        templates: Iterable[str] = (),
        texts: Collection[str] = (),
    ) -> None:
        self.rules: list[Rule] = []
        self.memberships: list[Membership] = []
        self.catalog = catalog
        self.faults = faults
        self.hints = GrantHints(catalog, partial(_roles_in, texts))
        # Large policies are repetitive: each distinct cell is checked once.
        self.known_needs: dict[str, frozenset[str]] = {}
        self.known_actions: dict[tuple[str, bool], tuple[str, ...]] = {}
        self.known_terms: dict[tuple[object, ...], RuleTerms] = {}
        # Interned, since an integer of its own takes half the memory of a rule.
        self._lines: dict[int, int] = {}
        # Interned: rules and routes share one string for each resource.
        self.good_resources: dict[str, str] = {template: template for template in templates}

    def parse(self, file: str, text: str, known: NearbyRows | None = None, first: int = 1) -> None:
        """Parse the text of one file, or a part of it from the line `first`.

        `known` are rows of the file in a policy with this catalogue.
        """
        before = len(self.faults)
        for number, line in enumerate(lines_of(text), first):
            if known is not None and (row := known.row(line, number)) is not None:
                self.add(row, number)
                continue
            if not line or line[0] == "#" or line.isspace() or len(line) > MAX_LINE:
                continue  # a longer line is a fault of the source
            if len(self.faults) - before >= MAX_FAULTS_IN_FILE:
                message = "more faults may follow; fix these first"
                self.faults.append(Fault("too-many-faults", file, number, 1, message, text=line[:SHOWN]))
                return
            _Row(self, file, number, line).parse()

    def add(self, row: Rule | Membership, line: int) -> None:
        """Add a row of a policy with this catalogue, which is at this line now."""
        if isinstance(row, Rule):
            self.rules.append(row if row.line == line else Rule(row.terms, row.resource, self.line(line)))
        else:
            self.memberships.append(row if row.line == line else replace(row, line=self.line(line)))

    def line(self, number: int) -> int:
        """A line number, as one object for all rows."""
        return self._lines.setdefault(number, number)

    def share_lines(self, rows: Iterable[Rule | Membership]) -> None:
        """Use the line numbers of the previous policy's rows, which are in memory beside the new rows for a while."""
        for row in rows:
            self._lines[row.line] = row.line


def _matches(line: str) -> Iterator[re.Match[str]]:
    """The cells of a line with quotes, up to the first that cannot be read."""
    found = _CELL.match(line)
    while found:
        yield found
        found = _CELL.match(line, found.end()) if found[2] else None


class _Row:
    """Parses one line, and places faults in it."""

    __slots__ = ("_line", "_rows", "file", "number")

    def __init__(self, rows: Rows, file: str, number: int, line: str) -> None:
        self.file = file
        self.number = number
        self._rows = rows
        self._line = line

    def parse(self) -> None:
        cells = self._split()
        if cells is None:
            return
        kind = cells[0]
        if kind == "p" and len(cells) in (5, 6):
            self._rule(cells)
        elif kind == "g" and len(cells) == 3:
            self._membership(cells[1], cells[2])
        else:
            self._misfit(kind, len(cells))

    def _split(self) -> list[str] | None:
        """The cells, without surrounding blanks and quotes."""
        line = self._line
        if '"' not in line:
            cells = [cell.strip(_BLANKS) for cell in line.split(",")]
            return None if "#" in line and self._comment(cells) else cells
        written = self._quoted_cells()
        if written is None or ("#" in line and self._comment(written)):
            return None
        return [cell[1:-1].replace('""', '"') if cell.startswith('"') else cell for cell in written]

    def _quoted_cells(self) -> list[str] | None:
        """The cells of a line with quotes, as written."""
        found = list(_matches(self._line))
        if not found or found[-1][2]:  # the cell after the last separator is malformed
            self._quotes_fault(self._line.index('"', found[-1].end() if found else 0))
            return None
        return [match[1].rstrip(_BLANKS) for match in found]

    def _quotes_fault(self, start: int) -> None:
        closed = _CLOSED.match(self._line, start)
        if closed and self._line.startswith("#", closed.end()):
            hint = "move it to a line above that starts with `#`"
            message = "a comment must be on its own line: after a quoted cell Casbin's own loader would not skip it"
            self._fault_at("trailing-comment", closed.end() + 1, len(self._line) - closed.end(), message, hint)
            return
        hint = 'put the whole cell in quotes, and write a quote inside it as `""`'
        self._fault_at("quotes", start + 1, 1, "the quotes do not match", hint)

    def _comment(self, cells: Sequence[str]) -> bool:
        """Report a comment after a row. Only conditions and quoted cells may contain a `#`."""
        if cells[0].startswith("#"):
            message = f"a comment must start its line: Casbin's own loader would read `{cells[0]}` as a row"
            self._fault("trailing-comment", 0, message, "remove the blanks before the `#`", cells[0])
            return True
        for index, cell in enumerate(cells):
            if "#" not in cell or cell.startswith('"') or (index >= 5 and not cell.startswith("#")):
                continue
            kinds = _KINDS.get(cells[0], ())
            what = f"the {kinds[index]}" if index < len(kinds) else "another cell"
            message = f"a comment must be on its own line: Casbin's own loader would read `{cell}` as {what}"
            word = cell[cell.index("#") :]
            self._fault("trailing-comment", index, message, "move it to a line above that starts with `#`", word)
            return True
        return False

    def _misfit(self, kind: str, count: int) -> None:
        if kind == "p":
            message = f"a `p` row has 4 cells after the `p`, or 5 with a condition; this one has {count - 1}"
            hint = "put a condition with a comma in quotes" if count > 6 else f"write `{EXAMPLE_P}`"
            self._fault("arity", min(count - 1, 6), message, hint)
        elif kind == "g":
            message = f"a `g` row has 2 cells after the `g`; this one has {count - 1}"
            self._fault("arity", min(count - 1, 3), message, f"write `{EXAMPLE_G}`")
        elif ";" in kind or "\t" in kind:
            self._fault("separator", 0, "the cells of a row must be separated by commas", f"write `{EXAMPLE_P}`")
        else:
            hint = did_you_mean(kind, "pg") or f"write `{EXAMPLE_P}`"
            self._fault("row-type", 0, f"a row must start with `p` or `g`, not with `{kind}`", hint)

    def _rule(self, cells: list[str]) -> None:
        before = len(self._rows.faults)
        column = self._column()
        of_route = is_route(cells[2])
        key = (self.file, column, of_route, cells[1], *cells[3:])
        terms = self._rows.known_terms.get(key)
        needs = terms.needs if terms else self._rows.known_needs.get(cells[1]) or self._needs(cells[1])
        resource = self._rows.good_resources.get(cells[2]) or self._resource(cells[2])
        if terms is None:
            actions = self._rows.known_actions.get((cells[3], of_route)) or self._actions(cells[3], of_route)
            effect = self._effect(cells[4])
            condition = self._condition(cells[5]) if len(cells) == 6 else None
            if len(self._rows.faults) > before or effect is None:
                return
            terms = RuleTerms(self.file, needs, actions, effect, condition, column)
            self._rows.known_terms[key] = terms
        elif len(self._rows.faults) > before:
            return
        if is_ask_row(resource) and (
            wrong := ask_fault(
                needs, resource, terms.actions, has_condition=len(cells) == 6, catalog=self._rows.catalog
            )
        ):
            self._fault("ask-row", *wrong)
            return
        self._rows.rules.append(Rule(terms, resource, self._rows.line(self.number)))

    def _effect(self, cell: str) -> Effect | None:
        effect = _EFFECTS.get(cell)
        if effect is None:
            hint = did_you_mean(cell, _EFFECTS) or "write `allow` or `deny`"
            self._fault("effect", 4, f"the effect must be `allow` or `deny`, not `{cell}`", hint)
        return effect

    def _membership(self, member: str, grant: str) -> None:
        if not (self._check_grant(1, member) and self._check_grant(2, grant)):
            return
        if grant not in self._rows.catalog and not grant.startswith("role:"):
            message = f"`{grant}` is a fact that only the server states; no row can add it"
            self._fault("stated-fact", 2, message, "add a permission or a role")
            return
        line = self._rows.line(self.number)
        self._rows.memberships.append(Membership(self.file, line, member, grant, self._column()))

    def _column(self) -> int:
        """Where the row starts in its line."""
        return len(self._line) - len(self._line.lstrip(_BLANKS)) + 1

    def _needs(self, cell: str) -> frozenset[str]:
        grants = cell.split(" ")
        if "" in grants:
            self._fault(
                "needs", 1, "grants must be separated by one space", "write at least one grant, `anyone` for everyone"
            )
            return frozenset()
        unknown = (grant for grant in grants if not self._check_grant(1, grant))
        if list(islice(unknown, MAX_FAULTS_IN_ROW)):  # to report more than the first
            return frozenset()
        found = frozenset(grants)
        if len(found) < len(grants):
            self._fault("needs", 1, "a grant is repeated", "write each grant once")
            return frozenset()
        self._rows.known_needs[cell] = found
        return found

    def _check_grant(self, cell: int, grant: str) -> bool:
        if is_grant(grant, self._rows.catalog):
            return True
        message = f"`{grant}` is an unknown permission"
        self._fault("unknown-grant", cell, message, self._rows.hints.hint(grant), grant)
        return False

    def _resource(self, cell: str) -> str:
        wrong = None
        if is_route(cell):
            wrong = pattern_fault(cell)
        elif not THING.fullmatch(cell):
            wrong = (f"`{cell}` is not a resource", "a route starts with `/`; anything else is `type` or `type:id`")
        if wrong:
            self._fault("resource", 2, *wrong)
        else:
            self._rows.good_resources[cell] = cell
        return cell

    def _actions(self, cell: str, of_route: bool) -> tuple[str, ...]:
        actions = tuple(cell.split("|"))
        for action in actions:
            if of_route and action not in METHODS:
                hint = did_you_mean(action, METHODS) or f"the methods are {', '.join(METHODS)}"
                self._fault("unknown-action", 3, f"`{action}` is not a method of a route", hint, action)
                return ()
            if not VERB.fullmatch(action):
                self._fault(
                    "unknown-action", 3, f"`{action}` is not an action", "write actions as `read|write`", action
                )
                return ()
        if len(set(actions)) < len(actions):
            self._fault("action-twice", 3, "an action is repeated", "write each action once")
            return ()
        self._rows.known_actions[cell, of_route] = actions
        return actions

    def _condition(self, text: str) -> Condition | None:
        compiled = compile_condition(text)
        if isinstance(compiled, Condition):
            return compiled
        self._condition_fault(compiled, text)
        return None

    def _condition_fault(self, fault: ConditionFault, text: str) -> None:
        column, _ = self._place(5)
        quoted = self._line[column - 1 : column] == '"'
        before, within = text[: fault.offset], text[fault.offset :][: fault.length]
        # In a quoted cell, each quote of the condition takes two characters.
        column += fault.offset + quoted * (1 + before.count('"'))
        self._fault_at("condition", column, fault.length + quoted * within.count('"'), fault.message, fault.hint)

    def _place(self, cell: int) -> tuple[int, int]:
        """Column and length of a cell, or of the last cell if there are fewer."""
        if '"' in self._line:
            spans = [match.span(1) for match in _matches(self._line)]
        else:
            ends = [*(match.start() for match in _COMMA.finditer(self._line)), len(self._line)]
            spans = list(zip([0, *(end + 1 for end in ends)], ends, strict=False))
        start, end = spans[min(cell, len(spans) - 1)]
        text = self._line[start:end]
        return start + len(text) - len(text.lstrip(_BLANKS)) + 1, max(len(text.strip(_BLANKS)), 1)

    def _fault(self, code: str, cell: int, message: str, hint: str = "", word: str = "") -> None:
        """Report a fault at a cell of this row, or at a word of it."""
        column, length = self._place(cell)
        if word:
            # The word as a whole, not as a part of a longer one.
            separate = re.compile(rf'(?<![^\s,|"]){re.escape(word)}(?![^\s,|"])')
            found = separate.search(self._line, column - 1)
            offset = found.start() if found else self._line.find(word, column - 1)
            if offset >= 0:  # a word with quotes is written with twice as many
                column, length = offset + 1, len(word)
        self._fault_at(code, column, length, message, hint)

    def _fault_at(self, code: str, column: int, length: int, message: str, hint: str) -> None:
        text = self._line[:SHOWN]
        self._rows.faults.append(Fault(code, self.file, self.number, column, message, hint, length, text))
