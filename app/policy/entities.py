"""`entities/*.yaml`: subjects and resources that the policy knows, with their attributes, for those who ask about them.

subjects:
  - {type: user, id: user_2abc, properties: {role: admin}}
resources:
  - type: record
    id: record-1
    properties: {status: active}
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from app.policy.document import Entries, Items, Node, plain, read_document
from app.policy.fault import Fault
from app.policy.grants import is_grant
from app.policy.rule import THING
from app.policy.shape import Shape
from app.policy.source import Source
from app.policy.when.shape import Properties

FOLDER = "entities/"
_LISTS = ("subjects", "resources")
_KEYS = ("type", "id", "properties")
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_ENTITY = "write `- {type: record, id: record-1, properties: {status: active}}`"
_FILE = "write `subjects:` or `resources:`, and below it `- {type: user, id: user_2abc, properties: {role: admin}}`"
# Callers may name a user by either word, so that one entity is found by both.
_SYNONYMS = {"identity": "user"}
_NOTHING: Properties = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Entity:
    """A subject or resource with its attributes, at its place in a file."""

    file: str
    line: int
    type: str
    id: str
    properties: Properties = field(default_factory=lambda: _NOTHING, hash=False)

    @property
    def place(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.line}"

    def __str__(self) -> str:
        properties = json.dumps(dict(self.properties), sort_keys=True, ensure_ascii=False)
        return f"{self.type} {self.id} {properties}"


# By type and id.
Known = Mapping[tuple[str, str], Entity]
_NONE: Known = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Entities:
    """What a policy knows of subjects and of resources."""

    subjects: Known = field(default_factory=lambda: _NONE, hash=False)
    resources: Known = field(default_factory=lambda: _NONE, hash=False)


def load(source: Source, catalog: Container[str], faults: list[Fault]) -> Entities:
    """The entities of every file; what is wrong with them goes to `faults`."""
    found: dict[str, dict[tuple[str, str], Entity]] = {name: {} for name in _LISTS}
    for file, text in source.files.items():
        if file.startswith(FOLDER):
            before = len(faults)
            root = read_document(file, text, faults)
            if root:
                _File(Shape(source, file, faults), found, catalog).read(root)
            elif len(faults) == before:
                faults.append(Fault("wrong-type", file, 1, 1, "the file has no entity", _FILE))
    return Entities(*(MappingProxyType(found[name]) for name in _LISTS))


@dataclass(frozen=True, slots=True)
class _File:
    shape: Shape
    found: Mapping[str, dict[tuple[str, str], Entity]]
    catalog: Container[str]

    def read(self, root: Node) -> None:
        for name, (_, listed) in self.shape.entries(root, _LISTS, "a file of entities", _FILE).items():
            if not isinstance(listed, Items) or not listed.items:
                self.shape.fault("wrong-type", listed, f"`{name}` is a list with at least one entity", _ENTITY)
                continue
            for node in listed.items:
                for entity in self._entity(node, name):
                    first = self.found[name].setdefault((entity.type, entity.id), entity)
                    if first is not entity:
                        message = f"`{entity.type}` `{entity.id}` stands here twice, first in {first.place}"
                        self.shape.fault("duplicate-entity", node, message, "keep one")

    def _entity(self, node: Node, name: str) -> Iterator[Entity]:
        """The entity of one item of a list, unless something is wrong with it."""
        entries = self.shape.entries(node, _KEYS, "an entity", _ENTITY)
        if not entries:
            return
        for key in _KEYS[:2]:
            if key not in entries:
                self.shape.fault("missing-key", node, f"the entity has no `{key}`", _ENTITY)
                return
        kind, identity = (self.shape.text(entries[key][1], key) for key in _KEYS[:2])
        if not kind or not identity:
            return
        if fault := _name_fault(name, kind, identity):
            at, message, hint = fault
            self.shape.fault("entity", entries[at][1], message, hint)
            return
        properties = _NOTHING
        if "properties" in entries:
            below = entries["properties"][1]
            if not isinstance(below, Entries):
                self.shape.fault("wrong-type", below, "`properties` is a mapping", _ENTITY)
                return
            if name == "subjects":
                self._check_permissions(below)
            properties = MappingProxyType({str(key.value): plain(value) for key, value in below.entries})
        yield Entity(self.shape.file, node.line, kind, identity, properties)

    def _check_permissions(self, properties: Entries) -> None:
        """What a subject holds is of the catalogue: anything else would be dropped when somebody asks."""
        for key, value in properties.entries:
            if key.value == "permissions":
                for item, text in self.shape.texts(value, "permissions"):
                    for grant in (word for word in text.split(" ") if word and word not in self.catalog):
                        message = f"`{grant}` is not in the catalogue"
                        self.shape.fault("unknown-grant", item, message, "facts and roles come from `g` rows", grant)


def _name_fault(name: str, kind: str, identity: str) -> tuple[str, str, str] | None:
    """What keeps an entity from being asked about: the key at fault, message and hint."""
    if not _TYPE.fullmatch(kind):
        return "type", f"`{kind}` is no type", "a type is a word, such as `record`"
    if name == "resources":
        if kind == "route":
            return "type", "routes come from the application and `upstreams/`", "write a thing, such as `record`"
        if not THING.fullmatch(f"{kind}:{identity}"):
            return "id", f"`{identity}` is no id that a row could name", 'leave out spaces, `*{}"|` and a first `/`'
    elif kind in _SYNONYMS:
        return "type", f"`{kind}` is another word for `{_SYNONYMS[kind]}`", f"write `{_SYNONYMS[kind]}`"
    elif kind == "user" and not is_grant(f"user:{identity}", ()):
        return (
            "id",
            f"`{identity}` is no id of a user that a row could name",
            "write a token's `sub`: visible ASCII, without spaces",
        )
    return None
