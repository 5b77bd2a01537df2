"""The parser of conditions: converts a text into a tree whose nodes have their positions.

The grammar is a subset of CEL with the same meaning, without map and message literals, bytes, unsigned numbers, raw and
triple-quoted texts, and comments.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import NamedTuple, NoReturn

from app.policy.language.when.tree import (
    Binary,
    Call,
    Index,
    ListExpression,
    Literal,
    Name,
    Node,
    Select,
    Ternary,
    Unary,
)

MAX_LENGTH = 1000
MAX_DEPTH = 12


class ConditionSyntaxError(Exception):
    """A text is not a valid condition; `start` and `end` delimit the characters at fault."""

    def __init__(self, message: str, start: int, end: int, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.start = start
        self.end = end
        self.hint = hint


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


_TOKEN = re.compile(
    r"(?P<space>[ \t\n]+)"
    r"|(?P<text>'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\")"
    r"|(?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<mark>&&|\|\||[=!<>]=|[-+*/%!<>?:.,()\[\]])"
)
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t"}
_CONSTANTS = {"true": True, "false": False, "null": None}
_RESERVED = re.compile(
    "as|break|const|continue|else|for|function|if|import|let|loop|package|namespace|return|var|void|while"
)
_LEVELS = (("||",), ("&&",), ("==", "!=", "<=", ">=", "<", ">", "in"), ("+", "-"), ("*", "/", "%"))
_STRAY = {"=": "write `==`", "&": "write `&&`", "|": "write `||`", "{": "map literals are not supported"}
_STRAY |= dict.fromkeys("\u201c\u201d\u2018\u2019`", "write straight quotes, as in 'text'")
_WORDS = {"and": "&&", "or": "||", "not": "!", "is": "==", "eq": "=="}


def parse(text: str) -> Node:
    """Parse an expression. Raises ConditionSyntaxError."""
    if len(text) > MAX_LENGTH:
        message = f"the condition has {len(text)} characters, the limit is {MAX_LENGTH}"
        raise ConditionSyntaxError(message, MAX_LENGTH, len(text), "split it into rows; rows are alternatives")
    return _Parser(text).parse()


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            character = text[position]
            if character in "'\"":
                raise ConditionSyntaxError("this text is not closed", position, len(text), f"end it with {character}")
            raise ConditionSyntaxError(f"unexpected `{character}`", position, position + 1, _STRAY.get(character, ""))
        token = _Token(match.lastgroup or "", match.group(), match.start(), match.end())
        if token.kind == "number" and (text[token.end : token.end + 1].isalnum() or text.startswith("_", token.end)):
            hint = "numbers are decimal; a duration is duration('90m')"
            raise ConditionSyntaxError("a letter follows this number", token.start, token.end + 1, hint)
        if token.kind != "space":
            found.append(token)
        position = token.end
    end = found[-1].end if found else 0
    return [*found, _Token("end", "", end, end + 1)]


class _Parser:
    """A recursive descent parser, with one method for all binary operators."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._next = 0
        self._depth = 0

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def parse(self) -> Node:
        if self._token.kind == "end":
            raise ConditionSyntaxError("the condition is empty", 0, 1, "remove the cell, or write a condition")
        tree = self._expression()
        if self._token.kind != "end":
            self._unexpected("an operator")
        return tree

    def _advance(self) -> _Token:
        token = self._token
        self._next += 1
        return token

    def _take(self, mark: str) -> bool:
        taken = self._token.kind == "mark" and self._token.text == mark
        self._next += taken
        return taken

    def _expect(self, mark: str) -> _Token:
        if not self._take(mark):
            self._unexpected(f"`{mark}`")
        return self._tokens[self._next - 1]

    def _unexpected(self, expected: str) -> NoReturn:
        token, before = self._token, self._tokens[self._next - 1]
        if token.kind == "end":
            raise ConditionSyntaxError(f"the condition ends, expected {expected}", token.start, token.end)
        sign = _WORDS.get(token.text.lower()) or _WORDS.get(before.text.lower())
        raise ConditionSyntaxError(
            f"expected {expected} here", token.start, token.end, f"write `{sign}`" if sign else ""
        )

    def _expression(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ConditionSyntaxError(f"more than {MAX_DEPTH} levels of nesting", self._token.start, self._token.end)
        condition = self._binary(0)
        if self._take("?"):
            yes = self._binary(0)  # in CEL's grammar, a ternary between `?` and `:` needs parentheses
            self._expect(":")
            no = self._expression()
            condition = Ternary(condition.start, no.end, condition, yes, no)
        self._depth -= 1
        return condition

    def _binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while self._token.text in _LEVELS[level]:
            operator = self._advance().text
            right = self._binary(level + 1)
            left = Binary(left.start, right.end, operator, left, right)
        return left

    def _unary(self) -> Node:
        token = self._token
        if not (self._take("!") or self._take("-")):
            return self._member()
        if self._token.text in ("!", "-"):
            raise ConditionSyntaxError(
                "a sign cannot follow another sign", self._token.start, self._token.end, "use parentheses"
            )
        operand = self._member()
        return Unary(token.start, operand.end, token.text, operand)

    def _member(self) -> Node:
        node = self._primary()
        while True:
            if self._take("."):
                name = self._advance() if self._token.kind == "word" else self._unexpected("a name")
                if name.text in _CONSTANTS or name.text == "in":
                    hint = f"write ['{name.text}']"
                    raise ConditionSyntaxError(f"`{name.text}` cannot follow a dot", name.start, name.end, hint)
                if self._take("("):
                    arguments, end = self._list(")")
                    node = Call(node.start, end, node, name.text, name.start, arguments)
                else:
                    node = Select(node.start, name.end, node, name.text, name.start)
            elif self._take("["):
                key = self._expression()
                node = Index(node.start, self._expect("]").end, node, key)
            else:
                return node

    def _primary(self) -> Node:
        token = self._token
        if self._take("("):
            inner = self._expression()
            return replace(inner, start=token.start, end=self._expect(")").end)
        if self._take("["):
            items, end = self._list("]")
            return ListExpression(token.start, end, items)
        if token.kind in ("text", "number"):
            self._next += 1
            return Literal(token.start, token.end, _text(token) if token.kind == "text" else _number(token))
        if token.kind != "word" or token.text == "in":
            self._unexpected("a value")
        self._next += 1
        if token.text in _CONSTANTS:
            return Literal(token.start, token.end, _CONSTANTS[token.text])
        if _RESERVED.fullmatch(token.text):
            raise ConditionSyntaxError(f"`{token.text}` is a reserved word of CEL", token.start, token.end)
        if self._take("("):
            arguments, end = self._list(")")
            return Call(token.start, end, None, token.text, token.start, arguments)
        return Name(token.start, token.end, token.text)

    def _list(self, close: str) -> tuple[tuple[Node, ...], int]:
        items: list[Node] = []
        while not self._take(close):
            if items and not self._take(","):
                self._unexpected(f"`,` or `{close}`")
            items.append(self._expression())
        return tuple(items), self._tokens[self._next - 1].end


def _text(token: _Token) -> str:
    for escape in _ESCAPE.finditer(token.text):
        if escape[1] not in _ESCAPES:
            start = token.start + escape.start()
            raise ConditionSyntaxError(
                f"`{escape[0]}` is not a valid escape", start, start + 2, "write `\\\\` for one backslash"
            )
    return _ESCAPE.sub(lambda escape: _ESCAPES[escape[1]], token.text[1:-1])


def _number(token: _Token) -> int | float:
    value = int(token.text) if token.text.isdigit() else float(token.text)
    if (isinstance(value, int) and value >= 2**63) or math.isinf(value):
        raise ConditionSyntaxError("this number is too large", token.start, token.end)
    return value
