"""Follows references to path items, within a document or to files next to it. Nothing else is ever read."""

from __future__ import annotations

from collections.abc import Mapping
from posixpath import dirname
from urllib.parse import unquote

from app.policy.language.openapi.budget import CHARACTERS, DocumentBudget, Work
from app.policy.language.openapi.json_tree import read_json
from app.policy.language.openapi.tree import Branch, Mode, Unreadable, Value
from app.policy.language.openapi.yaml_tree import read_yaml
from app.policy.language.row_view import place_of
from app.policy.language.source import shown

MAX_FILES = 500  # of one document
MAX_CHAIN = 10  # references that lead to further references

_HINT = "refer to a file in `upstreams/`, such as `./paths/orders.yaml`, or to a part of it"


class References:
    """Follows the references of one document. `files` are all files of the policy."""

    def __init__(self, file: str, document: Branch, files: Mapping[str, str], budget: DocumentBudget) -> None:
        self._budget = budget
        self._files = files
        self._trees: dict[str, Value] = {file: document}
        self._unreadable: dict[str, tuple[str, str]] = {}  # message and hint: an exception would keep its frames
        self._named = {file: None}  # in the order of the first reference
        self._file = file

    @property
    def named(self) -> tuple[str, ...]:
        """The other files that the document refers to, also if there is no such file or it cannot be read."""
        return tuple(file for file in self._named if file != self._file)

    def follow(self, branch: Branch, file: str) -> tuple[Branch, str]:
        """Resolve a mapping that may be a reference; returns the target and its file. Raises Unreadable."""
        if "$ref" not in branch.entries:
            return branch, file
        seen: set[tuple[str, str]] = set()
        while "$ref" in branch.entries:
            reference = branch.get("$ref")
            if not isinstance(reference, str):
                raise Unreadable("a `$ref` must be a text", _HINT, branch.line_of("$ref"))
            self._budget.spend(Work.REFERENCES, 5 + len(reference) // CHARACTERS)
            place, _, pointer = reference.partition("#")
            target = self._target_file(place, file, reference)
            if (target, pointer) in seen or len(seen) >= MAX_CHAIN:
                raise Unreadable(f"`{shown(reference)}` is a cycle or too long a chain of references", _HINT)
            seen.add((target, pointer))
            found = _at(self._tree(target), pointer)
            if not isinstance(found, Branch):
                raise Unreadable(f"`{shown(reference)}` does not lead to a path item", _HINT)
            branch, file = found, target
        return branch, file

    def _target_file(self, place: str, file: str, reference: str) -> str:
        """The name of a referenced file, in the same folder or below."""
        if not place:
            return file
        parts = unquote(place).split("/")
        while parts and parts[0] == ".":
            del parts[0]
        name = "/".join((dirname(file), *parts))
        if ":" in place or "\\" in name or not all(parts) or ".." in parts or "." in parts:
            raise Unreadable(f"references such as `{shown(reference)}` are not followed", _HINT)
        self._named[name] = None
        if name not in self._files:
            raise Unreadable(f"`{shown(reference)}` is not a file of the policy", _HINT)
        return name

    def _tree(self, file: str) -> Value:
        if file in self._unreadable:
            raise Unreadable(*self._unreadable[file])
        if file not in self._trees:
            if len(self._trees) + len(self._unreadable) > MAX_FILES:
                raise Unreadable(f"the document refers to more than {MAX_FILES} files", _HINT)
            try:
                self._trees[file] = read(file, self._files[file], Mode.FRAGMENT)
            except Unreadable as fault:
                where = place_of(file, fault.line)
                self._unreadable[file] = (f"{where} cannot be read: {fault}", fault.hint)
                raise Unreadable(*self._unreadable[file]) from None
        return self._trees[file]


def read(file: str, text: str, mode: Mode) -> Value:
    """Parse the parts of a file that `mode` selects. Raises Unreadable."""
    text = text.removeprefix("\ufeff")
    return read_json(text, mode) if file.endswith(".json") else read_yaml(text, mode)


def _at(tree: Value, pointer: str) -> Value:
    """The value at a JSON pointer (RFC 6901) in a fragment; None if there is none."""
    if pointer and not pointer.startswith("/"):
        return None
    for part in unquote(pointer).split("/")[1:]:
        if not isinstance(tree, Branch):
            return None
        tree = tree.get(part.replace("~1", "/").replace("~0", "~"))
    return tree
