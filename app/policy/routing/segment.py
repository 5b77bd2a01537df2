"""The segments of a route template: text, a parameter such as `{id}`, or a composite such as `{name}:cancel`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
PARAMETER = re.compile(rf"\{{{NAME}\}}")
_NAMED = re.compile(r"\{([^{}]*)\}")
# A placeholder for any value, which does not occur in templates.
_ANY = "\0"


def is_composite(segment: str) -> bool:
    """Whether a parameter is only a part of a segment."""
    return "{" in segment and _NAMED.fullmatch(segment) is None


@dataclass(frozen=True, slots=True)
class Composite:
    """A segment of alternating text and parameters. `texts` has one more item than `names`; the outer may be empty."""

    texts: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def length(self) -> int:
        """The number of text characters. If one segment includes another, the narrower one has more."""
        return sum(map(len, self.texts))

    def values(self, text: str) -> tuple[str, ...] | None:
        """The values of the parameters in a segment of a path; None if it does not match.

        No value is empty. The result is empty if the match is ambiguous, so that two programs could read other values.
        """
        first, *middle, last = self.texts
        start, end = len(first), len(text) - len(last)
        if end <= start or not text.startswith(first) or not text.endswith(last):
            return None
        # Match each text as early as possible, then as late as possible: if both agree, the match is unique.
        early, at = [], start
        for piece in middle:
            at = text.find(piece, at + 1, end - 1)
            if at < 0:
                return None
            early.append(at)
            at += len(piece)
        late, at = [], end
        for piece in reversed(middle):
            at = text.rfind(piece, start + 1, at - 1)
            late.append(at)
        if early != late[::-1]:
            return ()
        starts = [start, *(at + len(piece) for at, piece in zip(early, middle, strict=True))]
        return tuple(text[begin:stop] for begin, stop in zip(starts, [*early, end], strict=True))

    def includes(self, other: Composite) -> bool:
        """Whether this segment matches every text that the other matches."""
        return self.values(_ANY.join(other.texts)) is not None

    def meets(self, other: Composite) -> bool:
        """Whether some text matches both. Only the outer texts can conflict: inner texts can follow one another."""
        return _agree(self.texts[0], other.texts[0]) and _agree(self.texts[-1][::-1], other.texts[-1][::-1])


@lru_cache(maxsize=4096)
def composite(segment: str) -> Composite:
    """The parts of a segment as spelled."""
    parts = _NAMED.split(segment)
    return Composite(tuple(parts[::2]), tuple(parts[1::2]))


@lru_cache(maxsize=4096)
def decoded(segment: str) -> Composite:
    """The parts of a segment with its text decoded."""
    spelled = composite(segment)
    return Composite(tuple(map(unquote, spelled.texts)), spelled.names)


def values_in(segment: str, text: str) -> tuple[str, ...] | None:
    """The values in a segment of a path, like `Composite.values`, whether its text is encoded or not."""
    found = decoded(segment).values(text)
    return found if found is not None else composite(segment).values(text)


def shape(segment: str) -> str:
    """A segment without the names of its parameters."""
    return _NAMED.sub("{}", segment) if "{" in segment else segment


def _agree(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)
