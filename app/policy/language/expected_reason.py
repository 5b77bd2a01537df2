"""The reason that a case expects of a verdict: a row, missing grants, or the text of a reason."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from app.policy.language.fault import did_you_mean
from app.policy.language.grants import GrantHints, is_grant
from app.policy.language.reason import Reason
from app.policy.language.rule import RuleContent

_ROW = re.compile(r"(\S+\.csv)(?::([1-9][0-9]{0,8}))?")
_LACKS = "lacks "
# Cases of earlier policies, to which one can roll back, expect reasons in these words.
_FORMER_REASONS = {
    "no rule that would allow it has all its grants": Reason.NOT_HELD,
    "no rule speaks of it": Reason.UNRULED,
    "the policy knows no service of this name": Reason.NO_SERVICE,
    "its document does not tell which route it belongs to": Reason.CLOSED,
}


@dataclass(frozen=True, slots=True)
class ExpectedReason:
    """An expected reason: the deciding row, by its content or by `file` and optionally `line`; or `lacks`, or
    `reason`."""

    text: str
    row: RuleContent | None = None
    file: str = ""
    line: int = 0
    lacks: frozenset[str] = frozenset()
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class InvalidReason:
    """Why a text is not a valid reason, and the word at fault."""

    message: str
    hint: str
    word: str


def read_expected_reason(
    text: str, *, allowed: bool, files: Collection[str], catalog: Collection[str], hints: GrantHints
) -> ExpectedReason | InvalidReason:
    """Parse an expected reason: `catalog.csv`, `catalog.csv:7`, a row, `lacks catalog:write` or a reason's text."""
    if text.startswith("p,"):
        return _read_row(text, allowed=allowed)
    if row := _ROW.fullmatch(text):
        if row[1] not in files:
            hint = did_you_mean(row[1], files) or "name a file of rows, such as `catalog.csv`"
            return InvalidReason(f"there is no file `{row[1]}` in this policy", hint, row[1])
        return ExpectedReason(text, file=row[1], line=int(row[2] or 0))
    if text.startswith(_LACKS) and not allowed:
        lacks = text.removeprefix(_LACKS).split(" ")
        for grant in lacks:
            if not is_grant(grant, catalog):
                message = f"`{grant}` is an unknown permission"
                return InvalidReason(message, hints.hint(grant), grant or text)
        return ExpectedReason(text, lacks=frozenset(lacks))
    reasons = {str(reason): reason for reason in Reason if (reason is Reason.ALLOWED) is allowed}
    reason = reasons.get(text) or (_FORMER_REASONS.get(text) if not allowed else None)
    if reason is not None:
        return ExpectedReason(text, reason=reason)
    word = text.split(" ", maxsplit=1)[0]
    near = did_you_mean(text, reasons) or (not allowed and did_you_mean(word, [_LACKS.strip()]))
    hint = (
        "write `catalog.csv`, `catalog.csv:7`, a row, `lacks catalog:write` or a reason as printed by "
        "`authz policy explain`"
    )
    return InvalidReason(f"`{text}` is not a reason to {'allow' if allowed else 'deny'}", near or hint, text)


def _read_row(text: str, *, allowed: bool) -> ExpectedReason | InvalidReason:
    """Parse a `p` row as an expected reason. Spacing and the order of grants and actions do not matter."""
    cells = [cell.strip() for cell in text.split(",", 5)]
    effect = "allow" if allowed else "deny"
    if len(cells) < 5:
        return InvalidReason("this row is incomplete", f"write `p, <grants>, <resource>, <actions>, {effect}`", text)
    if cells[4] != effect:
        return InvalidReason(
            f"only a row with the effect `{effect}` decides to {effect}", f"use a row that ends in `{effect}`", cells[4]
        )
    condition = cells[5].removeprefix('"').removesuffix('"').replace('""', '"') if len(cells) == 6 else ""
    return ExpectedReason(
        text, row=(frozenset(cells[1].split()), cells[2], frozenset(cells[3].split("|")), effect, condition)
    )
