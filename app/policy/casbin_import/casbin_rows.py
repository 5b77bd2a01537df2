"""Reads the rows of a Casbin program as pycasbin does, and refuses each line that Casbin would ignore in silence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from app.policy.casbin_import.import_fault import ImportRefused
from app.policy.casbin_import.model_file import CasbinModel, PolicyEffect
from app.policy.language.fault import Fault, did_you_mean
from app.policy.language.source import lines_of, shown

MAX_ROWS = 200_000
MAX_FAULTS = 100
MAX_CELL = 1_000  # characters
_PROGRESS = 20_000  # rows
_EFFECTS = ("allow", "deny")
_MARK = re.compile(r"[,\[\]()]")


@dataclass(frozen=True, slots=True)
class CasbinRow:
    """A row: where it is, its kind (`p`, `g`, `g2`) and its cells."""

    file: str
    line: int
    kind: str
    cells: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join((self.kind, *self.cells))


@dataclass(frozen=True, slots=True)
class CasbinRows:
    """The `p` rows in the order in which Casbin decides, and the rows of each role definition."""

    rules: tuple[CasbinRow, ...]
    links: Mapping[str, tuple[CasbinRow, ...]]


def read_rows(
    model: CasbinModel, files: Mapping[str, str], progress: Callable[[str], None] = lambda _: None
) -> CasbinRows:
    """Read the rows of all files, in this order. Raises ImportRefused with every fault."""
    faults: list[Fault] = []
    rules: list[CasbinRow] = []
    links: dict[str, list[CasbinRow]] = {name: [] for name in model.groups}
    for count, row in enumerate(_rows(model, files, faults), 1):
        if count > MAX_ROWS:
            faults.append(_fault((row.file, row.line, 1), str(row), f"there are more than {MAX_ROWS:,} rows"))
            break
        if count % _PROGRESS == 0:
            progress(f"{count:,} rows read")
        (rules if row.kind == "p" else links[row.kind]).append(row)
    if not rules and not faults:
        file = next(iter(files), model.file)
        faults.append(Fault("casbin-row", file, 1, 1, "there are no `p` rows", "name the files that have them"))
    if faults:
        raise ImportRefused(faults)
    ordered = _by_priority(model, rules)
    return CasbinRows(tuple(ordered), {name: tuple(each) for name, each in links.items()})


def _rows(model: CasbinModel, files: Mapping[str, str], faults: list[Fault]) -> Iterator[CasbinRow]:
    sizes = {"p": len(model.policy), **model.groups}
    for file, text in files.items():
        if text.startswith("\ufeff"):
            message = "the file begins with a byte order mark, with which Casbin ignores the first row"
            faults.append(_fault((file, 1, 1), "", message, "save it as UTF-8 without a byte order mark"))
            continue
        for number, raw in enumerate(lines_of(text), 1):
            line = raw.strip()
            if not line or line[0] == "#":
                continue
            if len(faults) >= MAX_FAULTS:
                return
            cells = _cells(file, number, raw, faults)
            if cells and (row := _row(model, CasbinRow(file, number, cells[0], tuple(cells[1:])), sizes, raw, faults)):
                yield row


def _cells(file: str, number: int, raw: str, faults: list[Fault]) -> list[str] | None:
    """The cells of a line, split at commas outside of brackets, as pycasbin splits them."""
    start = len(raw) - len(raw.lstrip())
    line = raw.strip()
    if '"' in line:
        message = "pycasbin takes quotes for a part of the cell, and other implementations do not"
        faults.append(
            _fault((file, number, start + line.index('"') + 1), raw, message, "write the cell without quotes")
        )
        return None
    if not line.replace("\t", " ").isprintable():
        at = next(index for index, mark in enumerate(line) if not mark.isprintable() and mark != "\t")
        message = f"the invisible character U+{ord(line[at]):04X} is not allowed"
        faults.append(_fault((file, number, start + at + 1), raw, message, "delete it"))
        return None
    cells, depth, begin = [], 0, 0
    for mark in _MARK.finditer(line):
        if mark[0] in "[(":
            depth += 1
        elif mark[0] in "])":
            depth -= 1
            if depth < 0:
                message = f"`{mark[0]}` closes no bracket"
                faults.append(
                    _fault((file, number, start + mark.start() + 1), raw, message, "Casbin cannot read it either")
                )
                return None
        elif not depth:
            cells.append(line[begin : mark.start()].strip())
            begin = mark.end()
    cells.append(line[begin:].strip())
    if any(len(cell) > MAX_CELL for cell in cells):
        faults.append(_fault((file, number, 1), raw, f"a cell has more than {MAX_CELL} characters", "shorten it"))
        return None
    return cells


def _row(
    model: CasbinModel, row: CasbinRow, sizes: Mapping[str, int], raw: str, faults: list[Fault]
) -> CasbinRow | None:
    """The row, checked for what Casbin would ignore."""
    column = len(raw) - len(raw.lstrip()) + 1
    size = sizes.get(row.kind)
    if size is None:
        message = f"Casbin ignores this row in silence: the model does not define `{row.kind}`"
        hint = did_you_mean(row.kind, sizes) or "delete it, or define it in the model"
        faults.append(_fault((row.file, row.line, column), raw, message, hint))
        return None
    if len(row.cells) != size:
        message = f"a `{row.kind}` row has {size} cells after the `{row.kind}`; this one has {len(row.cells)}"
        hint = "Casbin fails at a row with too few, and ignores what is too much of a role"
        faults.append(_fault((row.file, row.line, column), raw, message, hint))
        return None
    if "" in row.cells and (row.kind != "p" or row.cells.index("") != _effect_at(model)):
        message = "a cell is empty, so the row applies only to requests with an empty value"
        faults.append(_fault((row.file, row.line, column), raw, message, "fill it, or delete the row"))
        return None
    if row.kind == "p" and "eft" in model.policy:
        effect = row.cells[model.policy.index("eft")]
        if effect not in _EFFECTS:
            message = f"Casbin ignores this row in silence: its effect is `{effect}`"
            hint = did_you_mean(effect, _EFFECTS) or "write `allow` or `deny`, or delete the row"
            faults.append(_fault((row.file, row.line, column), raw, message, hint))
            return None
    if row.kind == "p" and "priority" in model.policy and model.effect is PolicyEffect.PRIORITY:
        priority = row.cells[model.policy.index("priority")]
        if not (priority.isascii() and priority.isdigit()):
            message = f"the priority `{priority}` is not a number without sign, so Casbin cannot order the rows"
            faults.append(_fault((row.file, row.line, column), raw, message, "write 0 or more; the lowest comes first"))
            return None
    return row


def _effect_at(model: CasbinModel) -> int:
    return model.policy.index("eft") if "eft" in model.policy else -1


def _by_priority(model: CasbinModel, rules: Iterable[CasbinRow]) -> list[CasbinRow]:
    if "priority" not in model.policy or model.effect is not PolicyEffect.PRIORITY:
        return list(rules)
    at = model.policy.index("priority")
    return sorted(rules, key=lambda row: int(row.cells[at]))


def _fault(place: tuple[str, int, int], text: str, message: str, hint: str = "") -> Fault:
    return Fault("casbin-row", *place, message, hint, text=shown(text))
