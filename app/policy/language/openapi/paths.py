"""Converts a path of a document into a route template, or into the templates that must be denied because of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from app.policy.language.source import shown
from app.policy.routing.segment import NAME
from app.policy.routing.template_tree import TAIL

MAX_LENGTH = 4096  # bytes of a path that gateways accept
MAX_SEGMENTS = 60
MAX_PARAMETERS = 8  # in one segment

# Characters that rows write literally; others are percent-encoded in a template, such as `,`, which ends a cell.
_SAFE = "._~!$'()+:@=-"
# Gateways refuse paths that encode one of these.
_NEVER = re.compile(rb"[/\\%;.?#\x00-\x1f\x7f]")
_NAME = re.compile(NAME)
_PIECES = re.compile(r"\{([^{}]*)\}")
_MARKS = re.compile(r"[{}/]")
_BEHIND = re.compile(r"[?#](?![^{}]*\})")
_ENCODED = re.compile(r"%(?![0-9A-Fa-f]{2})")
_FOREIGN = re.compile(r":[A-Za-z_][A-Za-z0-9_]*|\[[^\[\]]+\]|<[^<>]+>")
_ONE = "{_}"
# What nearly all paths are: literal text that rows write as it is, and parameters. They need no closer look.
_PLAIN = re.compile(rf"(?:/(?!:|\.{{1,2}}(?:/|\Z))(?:[A-Za-z0-9{re.escape(_SAFE)}]+|\{{{NAME}\}}))+")


@dataclass(frozen=True, slots=True)
class RoutedPath:
    """A path as a route: its `template`, or the `message` and `hint` why it has none.

    `closes` are the templates that must be denied, because another program may read the path as one of them.
    """

    template: str | None
    closes: tuple[str, ...] = ()
    message: str = ""
    hint: str = ""

    @property
    def every(self) -> tuple[str, ...]:
        """All templates that requests for the path may match."""
        return (*((self.template,) if self.template else ()), *self.closes)


def place(path: str, base: str = "") -> RoutedPath:
    """Join a path with the base path of its server, and convert it."""
    if not path.startswith("/"):
        closes = place(f"{base}/{path}").every
        return _denied(closes, "it does not start with `/`", "write it from the root: `/orders`")
    path = base + path
    if len(path) > MAX_LENGTH:
        return _denied((f"/{TAIL}",), f"it has more than {MAX_LENGTH} characters", "write a shorter one")
    if _is_plain(plain := path.removesuffix("/")):
        return RoutedPath(plain)
    if mark := _BEHIND.search(path):
        what = "a query" if mark[0] == "?" else "a fragment"
        # Requests reach such an endpoint by its path alone.
        closes = place(path[: mark.start()] or "/").every
        message = f"it has {what}, which is not a part of a path"
        return _denied(closes, message, "remove it; the path without it is denied")
    parts = _split(plain)
    if parts is None or len(parts) > MAX_SEGMENTS:
        message = "its braces do not match" if parts is None else f"it has more than {MAX_SEGMENTS} segments"
        return _denied((f"{_before(path)}/{TAIL}",), message, "write a parameter as `{id}`")
    return _place(parts)


def _is_plain(path: str) -> bool:
    """Whether a path is its own template."""
    if not _PLAIN.fullmatch(path) or path.count("/") > MAX_SEGMENTS:
        return False
    return path.count("{") < 2 or len(names := _PIECES.findall(path)) == len(set(names))


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
            if "?" in part:  # marks an optional segment in other notations
                closes.append(before or "/")
            return _denied(tuple(closes), *fault)
        read.append(text)
    names = [name for part in read for name in _PIECES.findall(part)]
    template = "".join(f"/{part}" for part in read) or "/"
    if len(set(names)) < len(names):
        return _denied((template,), "two of its parameters have the same name", "rename one of them")
    if not foreign:
        return RoutedPath(template)
    # This is text in OpenAPI, and a parameter in other notations.
    wider = "".join(f"/{_ONE if _FOREIGN.fullmatch(part) else text}" for part, text in zip(parts, read, strict=True))
    return RoutedPath(template, (wider,))


def _until_tail(template: str) -> str:
    """A template up to its first `**`, which matches the rest too."""
    before, tail, _ = template.partition(f"/{TAIL}")
    return before + tail


def _segment(part: str) -> tuple[str | None, tuple[str, str]]:
    """A segment for a template, and its fault as message and hint.

    The segment is None if no request can have it, `{_}` if it may mean any one segment, and `**` if it may mean more.
    """
    if part in ("", ".", "..") or ";" in part:
        return None, ("no request can have such a path", "remove empty and dot segments and `;`")
    if "*" in _PIECES.sub("", part):
        return TAIL, ("it has a `*`", "name the parameter: `{id}`")
    pieces = _PIECES.split(part)
    texts, names = pieces[::2], pieces[1::2]
    for name in names:
        if not _NAME.fullmatch(name):
            message = f"`{{{shown(name)}}}` is not a valid parameter name"
            hint = "name it with letters, digits, `_`, `-` and `.`; it stands for one segment or a part of one"
            # In other notations such marks may match several segments.
            return (TAIL if re.search(r"[*+:=/?]|\.\.", name) else _ONE), (message, hint)
    if "" in texts[1:-1] or len(names) > MAX_PARAMETERS:
        return _ONE, (f"the parameters of `{shown(part)}` are ambiguous", "separate them by text")
    if any("{" in text or "}" in text for text in texts):
        return TAIL, ("its braces do not match", "write a parameter as `{id}`")
    written = []
    for text in texts:
        if _ENCODED.search(text) or _NEVER.search(_encoded(text)):
            return None, ("gateways refuse paths that encode these characters", "write the characters literally")
        written.append(quote(unquote_to_bytes(text), safe=_SAFE))
    parameters = [f"{{{name}}}" for name in names]
    return "".join(piece for pair in zip(written, [*parameters, ""], strict=True) for piece in pair), ("", "")


def _encoded(text: str) -> bytes:
    """The bytes that a text encodes, except dots."""
    return b"".join(bytes.fromhex(code) for code in re.findall("%([0-9A-Fa-f]{2})", text) if code.upper() != "2E")


def _split(path: str) -> list[str] | None:
    """Split a path into segments, allowing slashes within a parameter; None if its braces do not match."""
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
    literal = path.replace("}", "{").partition("{")[0]
    placed = place(literal.rpartition("/")[0] or "/")
    return (placed.template or "").removesuffix("/")


def _denied(closes: tuple[str, ...], message: str, hint: str) -> RoutedPath:
    return RoutedPath(None, closes, message, hint)
