"""A condition with a flat name in the place of each path that it reads, so that CEL gets flat values.

`params.team_id > '7' && has(subject.claims.org)` becomes `_0 > '7' && _1`.
"""

from __future__ import annotations

from app.policy.language.when.read import Ask, Path, VariableRead
from app.policy.language.when.tree import Node


class FlatCondition:
    """Records the reads of a condition, by their flat names.

    `names` are the flat names by the id of the node that each replaces. CEL gets the values of those in `values`; the
    others are true or false.
    """

    def __init__(self, text: str) -> None:
        self.reads: dict[str, VariableRead] = {}
        self.names: dict[int, str] = {}
        self.values: set[str] = set()
        self._original = text
        self._edits: list[tuple[Node, str]] = []
        self._known: dict[tuple[str, Path, str], str] = {}

    def read(self, node: Node, question: str, path: Path, ask: Ask, operand: str = "", *, before: str = "") -> None:
        """Replace a node by a read, and a text before it. Equal questions have one read."""
        name = self._known.setdefault((question, path, operand), f"_{len(self._known)}")
        self.reads.setdefault(name, VariableRead(path, node.start, node.end, ask))
        self._edits.append((node, before + name))
        self.names[id(node)] = name
        if question == "value":
            self.values.add(name)

    @property
    def text(self) -> str:
        """The text with each read replaced by its flat name."""
        pieces: list[str] = []
        position = 0
        for node, name in sorted(self._edits, key=lambda edit: edit[0].start):
            pieces += [self._original[position : node.start], name]
            position = node.end
        return "".join([*pieces, self._original[position:]])
