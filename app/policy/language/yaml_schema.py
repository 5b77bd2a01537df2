"""Validates the structure of a YAML document, and reports faults with their places."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from app.policy.language.fault import Fault, did_you_mean
from app.policy.language.source import PolicySource
from app.policy.language.yaml_document import MAX_FAULTS, Entries, Leaf, ListNode, Node


class Shape:
    """Validating accessors for one file."""

    def __init__(self, source: PolicySource, file: str, faults: list[Fault]) -> None:
        self.source = source
        self.file = file
        self._faults = faults
        self._count = 0

    def entries(self, node: Node, known: Collection[str], what: str, example: str) -> dict[str, tuple[Leaf, Node]]:
        """The known entries of a mapping by key; empty if it is not a mapping."""
        if not isinstance(node, Entries):
            self.fault("wrong-type", node, f"{what} must be a mapping with {', '.join(known)}", example)
            return {}
        found: dict[str, tuple[Leaf, Node]] = {}
        for key, value in node.entries:
            if key.value in known:
                found[str(key.value)] = (key, value)
            else:
                hint = did_you_mean(str(key.value), known) or f"use one of {', '.join(known)}"
                self.fault("unknown-key", key, f"`{key.value}` is an unknown key in {what}", hint)
        return found

    def items(self, node: Node, key: str) -> tuple[Node, ...]:
        """The items of a list; a single one needs no dash."""
        if not isinstance(node, ListNode):
            return (node,)
        if not node.items:
            self.fault("wrong-type", node, f"`{key}` is an empty list", "delete it, or add items")
        return node.items

    def text(self, node: Node, key: str) -> str:
        """The text of a node; empty, after reporting a fault, if it is not a non-empty text."""
        if isinstance(node, Leaf) and isinstance(node.value, str) and node.value:
            return node.value
        hint = "put it in quotes if it is a text" if isinstance(node, Leaf) else ""
        if isinstance(node, Leaf) and node.value in (None, ""):
            hint = "it is empty: write a text, or delete it, with the `:` before it if there is one"
        self.fault("wrong-type", node, f"`{key}` must be a text", hint)
        return ""

    def texts(self, node: Node, key: str) -> Iterator[tuple[Node, str]]:
        """The texts of a list, or a single one, each with its node."""
        for item in self.items(node, key):
            if text := self.text(item, key):
                yield item, text

    def fault(self, code: str, node: Node, message: str, hint: str, word: str = "") -> None:
        """Report a fault at a node, or at a word of it; at most MAX_FAULTS for each file."""
        self._count += 1
        if self._count == MAX_FAULTS:
            more = "more faults follow; fix these first"
            self._faults.append(Fault("too-many-faults", self.file, node.line, node.column, more))
        if self._count >= MAX_FAULTS:
            return
        text = self.source.line(self.file, node.line)
        column, length = node.column, node.length
        if word and (offset := text.find(word, column - 1)) >= 0:
            column, length = offset + 1, len(word)
        self._faults.append(Fault(code, self.file, node.line, column, message, hint, length, text))
