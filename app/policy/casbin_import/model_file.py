"""Reads the model of a Casbin program as pycasbin does, and refuses what pycasbin would ignore.

Sections hold `key = value`; a line that ends with a backslash continues. Every text keeps its place in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from app.policy.casbin_import.import_fault import ImportRefused
from app.policy.language.fault import Fault, did_you_mean
from app.policy.language.source import lines_of, shown

MAX_MODEL = 100_000  # characters
_SECTIONS = {
    "request_definition": "r",
    "policy_definition": "p",
    "role_definition": "g",
    "policy_effect": "e",
    "matchers": "m",
}
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_GROUP = re.compile(r"g([2-9]|[1-9][0-9])?")


class PolicyEffect(Enum):
    """The effects that Casbin knows by their exact text."""

    ALLOW_OVERRIDE = "some(where (p.eft == allow))"
    DENY_OVERRIDE = "!some(where (p.eft == deny))"
    ALLOW_AND_DENY = "some(where (p.eft == allow)) && !some(where (p.eft == deny))"
    PRIORITY = "priority(p.eft) || deny"


@dataclass(frozen=True, slots=True)
class PlacedText:
    """A text that may come from several lines; `marks` are the offsets at which a line begins, with its place."""

    text: str
    marks: tuple[tuple[int, int, int], ...]

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset."""
        start, line, column = next(mark for mark in reversed(self.marks) if mark[0] <= offset)
        return line, column + offset - start


@dataclass(frozen=True, slots=True)
class CasbinModel:
    """The definitions that `enforce` uses. `groups` are the role definitions, each with its number of parameters."""

    file: str
    text: str
    request: tuple[str, ...]
    policy: tuple[str, ...]
    groups: Mapping[str, int]
    effect: PolicyEffect
    matcher: PlacedText

    def fault(self, code: str, offset: int, length: int, message: str, hint: str = "") -> Fault:
        """A fault at an offset of the matcher."""
        line, column = self.matcher.place(offset)
        text = next((text for number, text in enumerate(lines_of(self.text), 1) if number == line), "")
        return Fault(code, self.file, line, column, message, hint, length, shown(text))


def read_model(file: str, text: str) -> CasbinModel:
    """Read a model. Raises ImportRefused."""
    return _ModelReader(file, text).model()


class _ModelReader:
    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._text = text
        self._lines = list(lines_of(text))
        self._values: dict[str, PlacedText] = {}

    def model(self) -> CasbinModel:
        if len(self._text) > MAX_MODEL:
            raise self._refused(1, 1, f"the model has more than {MAX_MODEL} characters", "a model is a few lines")
        if self._text.startswith("\ufeff"):
            message = "the file begins with a byte order mark, at which pycasbin fails"
            raise self._refused(1, 1, message, "save it as UTF-8 without a byte order mark")
        for number, raw in enumerate(self._lines, 1):
            if (at := raw.removesuffix("\r").find("\r")) >= 0:
                message = "a carriage return within a line: pycasbin, which reads a file, begins a line there"
                raise self._refused(number, at + 1, message, "save the model with one kind of line ends")
        for key, value in self._definitions():
            if key in self._values:
                line, column = value.place(0)
                raise self._refused(line, column, f"`{key}` is defined twice, and Casbin uses the last", "delete one")
            self._values[key] = value
        for section, key in _SECTIONS.items():
            if key != "g" and key not in self._values:
                hint = f"add a section `[{section}]` with `{key} = …`"
                raise self._refused(1, 1, f"the model does not define `{key}`", hint)
        groups = {key: self._parameters(value) for key, value in self._values.items() if _GROUP.fullmatch(key)}
        for number, key in enumerate(sorted(groups, key=lambda key: (len(key), key)), 1):
            expected = f"g{number}" if number > 1 else "g"
            if key != expected:
                line, column = self._values[key].place(0)
                raise self._refused(
                    line, column, f"Casbin does not read `{key}` without `{expected}`", f"define `{expected}`"
                )
        return CasbinModel(
            self._file,
            self._text,
            self._fields("r"),
            self._fields("p"),
            groups,
            self._effect(),
            self._without_comment(self._values["m"]),
        )

    def _definitions(self) -> Iterator[tuple[str, PlacedText]]:
        section = ""
        parts: list[tuple[str, int, int]] = []
        for number, raw in enumerate(self._lines, 1):
            line = raw.strip()
            if not line or line[0] in "#;" or (line[0] == "[" and line[-1] == "]"):
                if parts:  # a continuation that ends here, as for pycasbin
                    yield self._definition(section, parts)
                    parts = []
                if line and line[0] == "[":
                    section = self._section(line, number, raw)
                continue
            column = len(raw) - len(raw.lstrip()) + 1
            continues = line[-1] == "\\"
            parts.append((line[:-1].strip() + " " if continues else line, number, column))
            if not continues:
                yield self._definition(section, parts)
                parts = []
        if parts:
            yield self._definition(section, parts)

    def _section(self, line: str, number: int, raw: str) -> str:
        name = line[1:-1]
        if name not in _SECTIONS:
            hint = did_you_mean(name, _SECTIONS) or f"the sections are {', '.join(f'[{each}]' for each in _SECTIONS)}"
            raise self._refused(number, raw.index("[") + 2, f"Casbin does not read the section `[{name}]`", hint)
        return _SECTIONS[name]

    def _definition(self, section: str, parts: list[tuple[str, int, int]]) -> tuple[str, PlacedText]:
        marks, buffer = [], ""
        for text, line, column in parts:
            marks.append((len(buffer), line, column))
            buffer += text
        _, number, column = parts[0]
        key, equals, value = buffer.partition("=")
        if not equals or not section:
            message = "this is not `key = value`" if section else "this is before the first section"
            raise self._refused(number, column, message, "write it as `r = sub, obj, act` below `[request_definition]`")
        key = key.strip()
        if key != section and not (section == "g" and _GROUP.fullmatch(key)):
            if re.fullmatch(rf"{section}[0-9]+", key):
                message = f"`{key}` is a second definition, which `enforce` uses only with an EnforceContext"
                hint = f"import it by itself: a model that has it as `{section}`, with the rows that belong to it"
                raise self._refused(number, column, message, hint)
            raise self._refused(number, column, f"Casbin does not read `{key}` here", f"write `{section} = …`")
        start = len(buffer) - len(value.lstrip())
        shifted = tuple((max(at - start, 0), line, column + max(start - at, 0)) for at, line, column in marks)
        return key, PlacedText(value.strip(), shifted)

    def _fields(self, key: str) -> tuple[str, ...]:
        value, at = self._values[key], 0
        parts = value.text.split(",")
        fields = tuple(part.strip() for part in parts)
        for part, field in zip(parts, fields, strict=True):
            if not _FIELD.fullmatch(field) or fields.count(field) > 1:
                line, column = value.place(at + len(part) - len(part.lstrip()))
                what = "occurs twice" if _FIELD.fullmatch(field) else "is not a name"
                raise self._refused(line, column, f"`{field}` {what}", f"write `{key} = sub, obj, act`")
            at += len(part) + 1
        return fields

    def _parameters(self, value: PlacedText) -> int:
        marks = [mark.strip() for mark in value.text.split(",")]
        if any(mark != "_" for mark in marks) or len(marks) not in (2, 3):
            line, column = value.place(0)
            message = f"the roles `{value.text}` are not of the form `_, _` or `_, _, _`"
            raise self._refused(line, column, message, "roles with conditions or more parameters cannot be imported")
        return len(marks)

    def _effect(self) -> PolicyEffect:
        value = self._without_comment(self._values["e"])
        try:
            return PolicyEffect(value.text)
        except ValueError:
            line, column = value.place(0)
            known = ", ".join(f"`{each.value}`" for each in PolicyEffect)
            message = f"`{value.text}` is not an effect that can be imported"
            raise self._refused(line, column, message, f"the effects, by their exact text, are {known}") from None

    def _without_comment(self, value: PlacedText) -> PlacedText:
        return PlacedText(value.text.partition("#")[0].strip(), value.marks)

    def _refused(self, line: int, column: int, message: str, hint: str) -> ImportRefused:
        text = self._lines[line - 1] if line <= len(self._lines) else ""
        fault = Fault("casbin-model", self._file, line, column, message, hint, text=shown(text))
        return ImportRefused([fault])
