"""Parses the matcher of a model into a tree, by the small part of the grammar whose meaning is certain.

What pycasbin would read differently than other implementations is refused: `!` before a comparison, a single text in
parentheses behind `in`, and texts that pycasbin rewrites.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from app.policy.casbin_import.import_fault import ImportRefused
from app.policy.casbin_import.model_file import CasbinModel

MAX_MATCHER = 8_000  # characters
MAX_DEPTH = 30
_TOKEN = re.compile(
    r"""[ \t]*(?:(?P<text>"[^"]*"|'[^']*')|(?P<number>[0-9]+(?:\.[0-9]+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>&&|\|\||==|!=|<=|>=|[!<>()\[\],.]))""",
    re.VERBOSE,
)
# pycasbin replaces these in the whole matcher, in texts too.
_REWRITTEN = re.compile(r"&&|\|\||!|\\|\b[rp][0-9]*\.")
_COMPARISONS = ("==", "!=", "<", ">", "<=", ">=", "in")


@dataclass(frozen=True, slots=True)
class Reference:
    """A field of the request (`r.sub`) or a cell of the row (`p.sub`), with attributes if `path` has more."""

    side: str
    path: tuple[str, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ConstantOperand:
    """A text or number."""

    value: str
    is_text: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class CallExpression:
    """A call of a function."""

    name: str
    arguments: tuple[Expression, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ListOperand:
    """`("a", "b")` or `["a"]`, behind `in`."""

    items: tuple[Expression, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ComparisonExpression:
    """A comparison of two operands."""

    operator: str
    left: Expression
    right: Expression
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class BooleanExpression:
    """`&&` or `||` over at least two operands."""

    operator: str
    items: tuple[Expression, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class NegatedExpression:
    """`!` before a call or before parentheses."""

    item: Expression
    start: int
    end: int


Expression = (
    Reference
    | ConstantOperand
    | CallExpression
    | ListOperand
    | ComparisonExpression
    | BooleanExpression
    | NegatedExpression
)


@dataclass(frozen=True, slots=True)
class _MatcherToken:
    """A word, number, sign or quoted text: `text` has the quotes, so that it is never taken for a sign."""

    kind: str
    text: str
    start: int
    end: int


def parse_matcher(model: CasbinModel) -> Expression:
    """Parse the matcher of a model. Raises ImportRefused, with the place of what cannot be read."""
    text = model.matcher.text
    if len(text) > MAX_MATCHER:
        message = f"the matcher has more than {MAX_MATCHER} characters"
        raise ImportRefused([model.fault("matcher", 0, 1, message)])
    return _MatcherParser(model, _tokens(model)).matcher()


def _tokens(model: CasbinModel) -> list[_MatcherToken]:
    text, at, found = model.matcher.text, 0, []
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            if at == len(text):
                break
            message = f"`{text[at]}` cannot be read here"
            hint = "the operators are `&&`, `||`, `!`, `==`, `!=`, `in`, and comparisons of numbers"
            raise ImportRefused([model.fault("matcher", at, 1, message, hint)])
        kind = str(match.lastgroup)
        token = _MatcherToken(kind, match[kind], match.start(kind), match.end(kind))
        if kind == "text" and _REWRITTEN.search(token.text):
            message = f"pycasbin rewrites a part of {token.text}, so the text does not mean what it says"
            raise ImportRefused([model.fault("matcher", token.start, len(token.text), message, "use another text")])
        if token.text in ("and", "or"):
            token = _MatcherToken("sign", {"and": "&&", "or": "||"}[token.text], token.start, token.end)
        found.append(token)
        at = match.end()
    return found


class _MatcherParser:
    """A recursive descent parser: `||` binds least, then `&&`, then comparisons."""

    def __init__(self, model: CasbinModel, tokens: list[_MatcherToken]) -> None:
        self._model = model
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def matcher(self) -> Expression:
        found = self._boolean("||")
        if self._at < len(self._tokens):
            self._refuse("an operator is missing here")
        return found

    def _boolean(self, operator: str) -> Expression:
        self._depth += 1
        if self._depth > MAX_DEPTH * 2:
            self._refuse("the matcher is nested too deeply")
        items = [self._operand_of(operator)]
        while self._takes(operator):
            items.append(self._operand_of(operator))
        self._depth -= 1
        if len(items) == 1:
            return items[0]
        return BooleanExpression(operator, tuple(items), items[0].start, items[-1].end)

    def _operand_of(self, operator: str) -> Expression:
        return self._boolean("&&") if operator == "||" else self._negation()

    def _negation(self) -> Expression:
        token = self._token()
        if token is None or token.text != "!":
            return self._comparison()
        self._at += 1
        at = self._at
        item = self._operand()
        if not isinstance(item, CallExpression | ComparisonExpression | BooleanExpression):
            self._at = at
            self._refuse("`!` may only precede a call or parentheses")
        following = self._token()
        if following is not None and following.text in _COMPARISONS:
            self._refuse("pycasbin negates the whole comparison here; other implementations negate its left side")
        return NegatedExpression(item, token.start, self._end())

    def _comparison(self) -> Expression:
        left = self._operand()
        token = self._token()
        if token is None or token.text not in _COMPARISONS:
            return left
        self._at += 1
        right = self._operand()
        following = self._token()
        if following is not None and following.text in _COMPARISONS:
            self._refuse("a comparison may have two sides only")
        return ComparisonExpression(token.text, left, right, left.start, self._end())

    def _operand(self) -> Expression:
        token = self._token()
        if token is None:
            self._refuse("the matcher ends here, and an operand is missing")
        self._at += 1
        if token.kind == "text":
            return ConstantOperand(token.text[1:-1], True, token.start, token.end)
        if token.kind == "number":
            return ConstantOperand(token.text, False, token.start, token.end)
        if token.kind == "name":
            return self._named(token)
        if token.text == "(":
            return self._parentheses(token)
        if token.text != "[":
            self._refuse(f"`{token.text}` cannot be read here", back=1)
        return self._list(token, [], "]")

    def _named(self, token: _MatcherToken) -> Expression:
        if self._takes("("):
            arguments: list[Expression] = []
            while not self._takes(")"):
                if arguments and not self._takes(","):
                    self._refuse("a `,` or `)` is missing here")
                arguments.append(self._operand())
            return CallExpression(token.text, tuple(arguments), token.start, self._end())
        path: list[str] = []
        while self._takes("."):
            following = self._token()
            if following is None or following.kind != "name":
                self._refuse("a name must follow the `.`")
            path.append(following.text)
            self._at += 1
        if not path or token.text not in ("r", "p"):
            self._at -= 1 + 2 * len(path)
            self._refuse(f"`{token.text}` has no meaning here: fields are `r.…` and cells `p.…`")
        return Reference(token.text, tuple(path), token.start, self._end())

    def _parentheses(self, opening: _MatcherToken) -> Expression:
        inner = self._boolean("||")
        following = self._token()
        if following is not None and following.text == ",":
            return self._list(opening, [inner], ")")
        if not self._takes(")"):
            self._refuse("a `)` is missing here")
        if isinstance(inner, ConstantOperand):
            self._at -= 1
            self._refuse('pycasbin looks for a part of a text here: write a list, as in `["a"]`')
        return inner

    def _list(self, opening: _MatcherToken, items: list[Expression], closing: str) -> Expression:
        while not self._takes(closing):
            if items and not self._takes(","):
                self._refuse(f"a `,` or `{closing}` is missing here")
            items.append(self._operand())
        return ListOperand(tuple(items), opening.start, self._end())

    def _token(self) -> _MatcherToken | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _takes(self, sign: str) -> bool:
        token = self._token()
        if token is None or token.text != sign:
            return False
        self._at += 1
        return True

    def _end(self) -> int:
        return self._tokens[self._at - 1].end

    def _refuse(self, message: str, *, back: int = 0) -> NoReturn:
        at = self._at - back
        if at < len(self._tokens):
            token = self._tokens[at]
            start, length = token.start, token.end - token.start
        else:
            start, length = len(self._model.matcher.text), 1
        hint = "see the forms of matchers on the page about importing from Casbin"
        raise ImportRefused([self._model.fault("matcher", start, length, message, hint)])
