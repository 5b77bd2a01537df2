"""What a pattern function of Casbin matches, as patterns over the segments of paths.

The functions become the regular expressions that pycasbin builds, quirks included: `.` in a `keyMatch2` pattern matches
any character, and `*` within a `keyMatch` pattern ends it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from app.policy.casbin_import.matcher import EQUALS
from app.policy.casbin_import.regex_text import AtomSequence, RegexAtom, UnreadableRegex, parse_regex

# The text of segments that rows can contain; others would be percent-encoded, which Casbin compares as written.
# A segment that begins with a colon is a parameter for other programs.
_TEXT = re.compile(r"(?!\.{1,2}\Z|:)[A-Za-z0-9._~!$'()+:@=-]+")
_KEY_MATCH2 = re.compile(r"(.*?):[^\/]+(.*?)")
_KEY_MATCH3 = re.compile(r"(.*?){[^\/]+?}(.*?)")
BRACES = re.compile(r"{([^/]+)}")
_ANY_SEGMENT = ("[^/]", "[^\\/]")
_PLAIN = re.compile(r"[A-Za-z0-9_.@/-]+")
_ANCHORED = re.compile(r"\^([A-Za-z0-9_@/-]+)\$")
_EVERYTHING = RegexAtom(".", "", True, "*")


@dataclass(frozen=True, slots=True)
class PartialSegment:
    """A segment that matches some texts. `literal` is the text that its author meant, if it only has dots.

    `may_cross` if it can also match a slash, so that no single segment covers it.
    """

    regex: str
    literal: str = ""
    may_cross: bool = False


@dataclass(frozen=True, slots=True)
class AnySegment:
    """One segment, whatever its text."""


ANY = AnySegment()
Segment = str | AnySegment | PartialSegment


@dataclass(frozen=True, slots=True)
class PathPattern:
    """Segments, and with `has_tail` a slash and anything behind it, which is not empty with
    `tail_has_text`. At `gap_at` there may be more segments."""

    segments: tuple[Segment, ...]
    has_tail: bool = False
    tail_has_text: bool = False
    ends_with_slash: bool = False
    gap_at: int | None = None

    @property
    def is_exact(self) -> bool:
        """Whether rows can state exactly what it matches."""
        return self.gap_at is None and not any(isinstance(each, PartialSegment) for each in self.segments)


@dataclass(frozen=True, slots=True)
class PathPatterns:
    """The patterns of one value. `is_everything`: it matches any text, also what is not a path.

    `equal` are the positions of segments that must have the same text. `fault` says why nothing can be stated.
    """

    patterns: tuple[PathPattern, ...] = ()
    is_everything: bool = False
    equal: tuple[int, int] | None = None
    fault: str = ""


EVERYTHING = PathPatterns((PathPattern((), has_tail=True),), is_everything=True)


@lru_cache(maxsize=65_536)
def patterns_of(function: str, value: str) -> PathPatterns:
    """The patterns of `function(r.obj, value)`."""
    if function == EQUALS or (function == "keyMatch" and "*" not in value):
        return _literal(value)
    equal: tuple[int, int] | None = None
    if function == "keyMatch4":
        equal, fault = _equal_segments(value)
        if fault:
            return PathPatterns(fault=fault)
    try:
        sequences = [_open_ended(sequence) for sequence in parse_regex(regex_of(function, value))]
        if any(map(_is_anything, sequences)):
            return EVERYTHING
        cut = map(_cut, sequences)
        found = [pattern for each in cut if each for pattern in _patterns(each)]
    except UnreadableRegex as unreadable:
        return PathPatterns(fault=str(unreadable))
    return PathPatterns(tuple(dict.fromkeys(found)), equal=equal)


def regex_of(function: str, value: str) -> str:
    """The regular expression that pycasbin matches for a pattern function, from the start of a text."""
    if function == "regexMatch":
        return value
    if function == "keyMatch":
        return f"^{re.escape(value[: value.index('*')])}.*"
    value = value.replace("/*", "/.*")
    if function == "keyMatch2":
        value = _KEY_MATCH2.sub(r"\g<1>[^\/]+\g<2>", value)
        return f"^{'(.*)' if value == '*' else value}$"
    if function == "keyMatch3":
        value = _KEY_MATCH3.sub(r"\g<1>[^\/]+\g<2>", value)
        return f"^{value}$"
    if function == "keyMatch4":
        return f"^{BRACES.sub('([^/]+)', value)}$"
    return f"^{BRACES.sub('[^/]+', value)}$"


def literal_of(function: str, value: str) -> tuple[str | None, bool]:
    """The only text that a function matches, if there is one, and whether it matches no other, as with a dot."""
    if function == EQUALS or (function == "keyMatch" and "*" not in value):
        return value, True
    anchored = _ANCHORED.fullmatch(value)
    if function == "regexMatch" and anchored:
        return anchored[1], True
    if function not in ("keyMatch", "regexMatch") and _PLAIN.fullmatch(value):
        return value, "." not in value and function != "keyMatch5"  # which ignores what follows a question mark
    return None, False


def _literal(value: str) -> PathPatterns:
    if not value.startswith("/"):
        return PathPatterns()
    parts = value[1:].split("/") if value != "/" else []
    ends_with_slash = len(parts) > 1 and parts[-1] == ""
    parts = parts[:-1] if ends_with_slash else parts
    if any(part.startswith(":") or "{" in part for part in parts):
        return PathPatterns(fault="without a pattern function such as keyMatch2, `:id` and `{id}` are text")
    if not all(map(_TEXT.fullmatch, parts)):
        return PathPatterns(fault="no request reaches the policy with such a path, or it is written in other ways, too")
    return PathPatterns((PathPattern(tuple(parts), ends_with_slash=ends_with_slash),))


def _equal_segments(value: str) -> tuple[tuple[int, int] | None, str]:
    """The two segments that `keyMatch4` requires to be equal."""
    places: dict[str, list[int]] = {}
    for at, part in enumerate(value.split("/")[1:]):
        for name in BRACES.findall(part):
            places.setdefault(name, []).append(at if part == f"{{{name}}}" else -1)
    match [found for found in places.values() if len(found) > 1]:
        case []:
            return None, ""
        case [[one, other]] if min(one, other) >= 0 and "*" not in value:
            return (one, other), ""
    return None, "more than two segments must be equal, or parts of segments"


def _open_ended(sequence: AtomSequence) -> list[RegexAtom]:
    """The atoms of an alternative, with one for what may follow."""
    atoms = [*sequence.atoms, *(() if sequence.is_closed else (_EVERYTHING,))]
    while len(atoms) > 1 and atoms[-1].is_any and atoms[-2].is_any:
        atoms.pop()
    return atoms


def _cut(atoms: Sequence[RegexAtom]) -> list[list[RegexAtom]]:
    """The atoms of each segment of an alternative; none if no path matches it. Raises UnreadableRegex."""
    if not atoms:
        return []
    if atoms[0].character != "/":
        if any(atom.matches_slash for atom in atoms) and (atoms[0].matches_slash or atoms[0].repeat):
            raise UnreadableRegex("it does not start with a slash, and can match paths all the same")
        return []
    if atoms[0].repeat:
        raise UnreadableRegex("its first slash is repeated")
    segments: list[list[RegexAtom]] = [[]]
    for at, atom in enumerate(atoms[1:], 1):
        if atom.character != "/":
            segments[-1].append(atom)
        elif atom.repeat.startswith("?") and at == len(atoms) - 1 and segments[-1]:
            break  # a last slash that is optional: both are the same path here
        elif atom.repeat:
            raise UnreadableRegex("it repeats a slash")
        else:
            segments.append([])
    return segments


def _patterns(segments: list[list[RegexAtom]]) -> list[PathPattern]:
    """The patterns of the segments of an alternative. Raises UnreadableRegex."""
    *before, last = segments
    read: list[Segment] = []
    gap_at: int | None = None
    for part in before:
        if _is_anything(part):
            gap_at = len(read) if gap_at is None else gap_at
            read.append(ANY)
        else:
            read.append(_segment(part))
    if not last:
        return [PathPattern(tuple(read), ends_with_slash=bool(read), gap_at=gap_at)]
    if _is_anything(last):
        return [PathPattern(tuple(read), has_tail=True, tail_has_text=not last[0].is_any, gap_at=gap_at)]
    if not last[-1].is_any:
        found = [PathPattern((*read, _segment(last)), gap_at=gap_at)]
        if re.fullmatch("".join(atom.source for atom in last), ""):  # nothing behind a last slash
            found.append(PathPattern(tuple(read), ends_with_slash=True, gap_at=gap_at))
        return found
    # `/foo.*` is each segment that begins with `foo`, and everything below it.
    first = _segment(last[:-1])
    longer = PartialSegment("".join(atom.source for atom in last[:-1]) + "[^/]+")
    return [
        PathPattern((*read, each), has_tail=has_tail, gap_at=gap_at)
        for each in (first, longer)
        for has_tail in (False, True)
    ]


def _is_anything(part: Sequence[RegexAtom]) -> bool:
    return len(part) == 1 and part[0].text == "." and part[0].repeat.rstrip("?") in ("*", "+")


def _segment(atoms: Sequence[RegexAtom]) -> Segment:
    """The segment of atoms. Raises UnreadableRegex."""
    if not atoms:
        raise UnreadableRegex("it has an empty segment, which no request has")
    if len(atoms) == 1 and atoms[0].text in _ANY_SEGMENT and atoms[0].repeat.rstrip("?") == "+":
        return ANY
    regex = "".join(atom.source for atom in atoms)
    if all(atom.character and not atom.repeat for atom in atoms):
        text = "".join(atom.character for atom in atoms)
        if not _TEXT.fullmatch(text):
            raise UnreadableRegex(f"`{text}` cannot be a segment of a route")
        return text
    if any(atom.matches_slash and atom.repeat for atom in atoms):
        raise UnreadableRegex("a repeated part of a segment can match slashes")
    is_dotted = all((atom.character or atom.text == ".") and not atom.repeat for atom in atoms)
    literal = "".join(atom.character or "." for atom in atoms) if is_dotted else ""
    return PartialSegment(regex, literal if _TEXT.fullmatch(literal) else "", any(a.matches_slash for a in atoms))
