"""The reason that a test expects of a verdict: a row, the grants that lack, or the words of a reason."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from app.policy.decision import Decision, Reason
from app.policy.fault import did_you_mean
from app.policy.grants import grant_hint, is_grant
from app.policy.rule import Said

_ROW = re.compile(r"(\S+\.csv)(?::([1-9][0-9]{0,8}))?")
_LACKS = "lacks "


@dataclass(frozen=True, slots=True)
class Why:
    """An expected reason: the row that decides, by what it says or by `file` and perhaps `line`; or `lacks`, or
    `reason`."""

    text: str
    row: Said | None = None
    file: str = ""
    line: int = 0
    lacks: frozenset[str] = frozenset()
    reason: Reason | None = None

    def fits(self, decision: Decision) -> bool:
        """Whether the decision was made for this reason."""
        rule = decision.rule
        if self.row:
            return rule is not None and rule.said == self.row
        if self.file:
            return rule is not None and rule.file == self.file and self.line in (0, rule.line)
        if self.lacks:
            return frozenset(decision.missing) == self.lacks
        return decision.reason is self.reason


@dataclass(frozen=True, slots=True)
class NoWhy:
    """Why a text is no reason, and the word at fault."""

    message: str
    hint: str
    word: str


def read_why(text: str, *, allowed: bool, files: Collection[str], catalog: Collection[str]) -> Why | NoWhy:
    """Read an expected reason: `catalog.csv`, `catalog.csv:7`, a row, `lacks catalog:write` or a reason's words."""
    if text.startswith("p,"):
        return _read_row(text, allowed=allowed)
    if row := _ROW.fullmatch(text):
        if row[1] not in files:
            hint = did_you_mean(row[1], files) or "name a file of rows, such as `catalog.csv`"
            return NoWhy(f"there is no file `{row[1]}` in this policy", hint, row[1])
        return Why(text, file=row[1], line=int(row[2] or 0))
    if text.startswith(_LACKS) and not allowed:
        lacks = text.removeprefix(_LACKS).split(" ")
        for grant in lacks:
            if not is_grant(grant, catalog):
                message = f"`{grant}` is neither in the catalogue nor a fact"
                return NoWhy(message, grant_hint(grant, catalog), grant or text)
        return Why(text, lacks=frozenset(lacks))
    reasons = {str(reason): reason for reason in Reason if (reason is Reason.ALLOWED) is allowed}
    if text in reasons:
        return Why(text, reason=reasons[text])
    word = text.split(" ", maxsplit=1)[0]
    near = did_you_mean(text, reasons) or (not allowed and did_you_mean(word, [_LACKS.strip()]))
    hint = (
        "write `catalog.csv`, `catalog.csv:7`, a row, `lacks catalog:write` or a reason in the words of "
        "`authz policy explain`"
    )
    return NoWhy(f"`{text}` is no reason to {'allow' if allowed else 'deny'}", near or hint, text)


def _read_row(text: str, *, allowed: bool) -> Why | NoWhy:
    """A `p` row as an expected reason: spacing, and the order of grants and actions, are as one likes."""
    cells = [cell.strip() for cell in text.split(",", 5)]
    effect = "allow" if allowed else "deny"
    if len(cells) < 5:
        return NoWhy("this is no whole row", f"write `p, <grants>, <resource>, <actions>, {effect}`", text)
    if cells[4] != effect:
        return NoWhy(
            f"no row that does not {effect} decides to {effect}", f"name a row that ends in `{effect}`", cells[4]
        )
    condition = cells[5].removeprefix('"').removesuffix('"').replace('""', '"') if len(cells) == 6 else ""
    return Why(text, row=(frozenset(cells[1].split()), cells[2], frozenset(cells[3].split("|")), effect, condition))
