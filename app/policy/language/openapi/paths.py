"""From a path as a document writes it to the template of a route, or to what must be denied because of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from app.policy.language.source import shown
from app.policy.routing.segment import NAME
from app.policy.routing.template_tree import TAIL

MAX_LENGTH = 4096  # of a path that a gateway takes, in bytes
MAX_SEGMENTS = 60
MAX_PARAMETERS = 8  # in one segment

# What rows write as it is; other characters are percent-encoded in a template, `,` for one, which ends a cell.
_SAFE = "._~!$'()+:@=-"
# No gateway takes a path that encodes one of these.
_NEVER = re.compile(rb"[/\\%;.?#\x00-\x1f\x7f]")
_NAME = re.compile(NAME)
_PIECES = re.compile(r"\{([^{}]*)\}")
_MARKS = re.compile(r"[{}/]")
_BEHIND = re.compile(r"[?#](?![^{}]*\})")
_ENCODED = re.compile(r"%(?![0-9A-Fa-f]{2})")
_FOREIGN = re.compile(r":[A-Za-z_][A-Za-z0-9_]*|\[[^\[\]]+\]|<[^<>]+>")
_ONE = "{_}"


@dataclass(frozen=True, slots=True)
class RoutedPath:
    """A path in the terms of routes: `template` where it is one, else `message` and `hint` why not.

    `closes` are the templates that its requests may have in a reading that no route stands for.
    """

    template: str | None
    closes: tuple[str, ...] = ()
    message: str = ""
    hint: str = ""

    @property
    def every(self) -> tuple[str, ...]:
        """Each template that its requests may have."""
        return (*((self.template,) if self.template else ()), *self.closes)


def place(path: str, base: str = "") -> RoutedPath:
    """Place a path behind that of its server."""
    if not path.startswith("/"):
        closes = place(f"{base}/{path}").every
        return _denied(closes, "it does not start with `/`", "write it from the root: `/orders`")
    path = base + path
    if len(path) > MAX_LENGTH:
        return _denied((f"/{TAIL}",), f"it has more than {MAX_LENGTH} characters", "write a shorter one")
    if mark := _BEHIND.search(path):
        what = "a query" if mark[0] == "?" else "a fragment"
        # Such an endpoint is reached by the path alone.
        closes = place(path[: mark.start()] or "/").every
        message = f"it has {what}, which is no part of a path"
        return _denied(closes, message, "its requests have the path alone, which is denied")
    parts = _split(path.removesuffix("/"))
    if parts is None or len(parts) > MAX_SEGMENTS:
        message = "its braces do not fit" if parts is None else f"it has more than {MAX_SEGMENTS} segments"
        return _denied((f"{_before(path)}/{TAIL}",), message, "write a parameter as `{id}`")
    return _place(parts)


def _place(parts: list[str]) -> RoutedPath:
    read: list[str] = []
    foreign = False
    for at, part in enumerate(parts):
        if _FOREIGN.fullmatch(part):
            foreign = True
        text, fault = _segment(part)
        if text is None:
            return _denied((), *fault)
        if fault[0]:
            before = "".join(f"/{each}" for each in read)
            after = [_segment(each)[0] or _ONE for each in parts[at + 1 :]]
            one = _until_tail("/".join((before, _ONE, *after)))
            closes = [one] if text == _ONE else [f"{before}/{TAIL}", one]
            if "?" in part:  # elsewhere the mark of what may be left out
                closes.append(before or "/")
            return _denied(tuple(closes), *fault)
        read.append(text)
    names = [name for part in read for name in _PIECES.findall(part)]
    template = "".join(f"/{part}" for part in read) or "/"
    if len(set(names)) < len(names):
        return _denied((template,), "two of its parameters have one name", "give each its own")
    if not foreign:
        return RoutedPath(template)
    # OpenAPI reads this as text, other notations as a parameter.
    wider = "".join(f"/{_ONE if _FOREIGN.fullmatch(part) else text}" for part, text in zip(parts, read, strict=True))
    return RoutedPath(template, (wider,))


def _until_tail(template: str) -> str:
    """A template up to its first `**`: what goes on behind that is one of its paths as well."""
    before, tail, _ = template.partition(f"/{TAIL}")
    return before + tail


def _segment(part: str) -> tuple[str | None, tuple[str, str]]:
    """A segment as a template has it and what is wrong with it, as message and hint.

    None where no request can have such a segment; `{_}` where any one segment could be meant, and `**` where more.
    """
    if part in ("", ".", "..") or ";" in part:
        return None, ("no request has such a path", "a path has no empty or dot segment and no `;`")
    if "*" in _PIECES.sub("", part):
        return TAIL, ("it has a `*`", "name the parameter: `{id}`")
    pieces = _PIECES.split(part)
    texts, names = pieces[::2], pieces[1::2]
    for name in names:
        if not _NAME.fullmatch(name):
            message = f"`{{{shown(name)}}}` is no name of a parameter"
            hint = "name it with letters, digits, `_`, `-` and `.`; it stands for one segment or a part of one"
            # Such marks stand in other notations for what may reach over several segments.
            return (TAIL if re.search(r"[*+:=/?]|\.\.", name) else _ONE), (message, hint)
    if "" in texts[1:-1] or len(names) > MAX_PARAMETERS:
        return _ONE, (f"nothing tells the parameters of `{shown(part)}` apart", "put a text between them")
    if any("{" in text or "}" in text for text in texts):
        return TAIL, ("its braces do not fit", "write a parameter as `{id}`")
    written = []
    for text in texts:
        if _ENCODED.search(text) or _NEVER.search(_encoded(text)):
            return None, ("no gateway takes a path with what it encodes", "write the characters themselves")
        written.append(quote(unquote_to_bytes(text), safe=_SAFE))
    named = [f"{{{name}}}" for name in names]
    return "".join(piece for pair in zip(written, [*named, ""], strict=True) for piece in pair), ("", "")


def _encoded(text: str) -> bytes:
    """The bytes that a text encodes."""
    return b"".join(bytes.fromhex(code) for code in re.findall("%([0-9A-Fa-f]{2})", text) if code.upper() != "2E")


def _split(path: str) -> list[str] | None:
    """The segments of a path, where a parameter may have slashes; None where its braces do not fit."""
    parts: list[str] = []
    start, depth = 1, 0
    for mark in _MARKS.finditer(path, 1):
        if mark[0] != "/":
            depth += 1 if mark[0] == "{" else -1
            if depth not in (0, 1):
                return None
        elif not depth:
            parts.append(path[start : mark.start()])
            start = mark.end()
    parts.append(path[start:])
    if depth:
        return None
    return [] if parts == [""] else parts


def _before(path: str) -> str:
    """The literal segments before the first brace."""
    literal = path[: min(at for at in (path.find("{"), path.find("}"), len(path)) if at >= 0)]
    placed = place(literal.rpartition("/")[0] or "/")
    return (placed.template or "").removesuffix("/")


def _denied(closes: tuple[str, ...], message: str, hint: str) -> RoutedPath:
    return RoutedPath(None, closes, message, hint)
