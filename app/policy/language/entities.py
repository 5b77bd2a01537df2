"""`entities/*.yaml`: subjects and resources with their attributes, for AuthZEN requests about them.

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

from app.policy.language.entity_lines import read_lists
from app.policy.language.fault import Fault
from app.policy.language.grants import is_grant
from app.policy.language.row_view import RowView, place_of
from app.policy.language.rule import THING
from app.policy.language.source import PolicySource
from app.policy.language.when.shape import Properties
from app.policy.language.yaml_document import Entries, ListNode, Node, plain, read_document
from app.policy.language.yaml_schema import Shape

FOLDER = "entities/"
_LISTS = ("subjects", "resources")
_KEYS = ("type", "id", "properties")
_KNOWN_KEYS = frozenset(_KEYS)
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_ENTITY = "write `- {type: record, id: record-1, properties: {status: active}}`"
_FILE = "write `subjects:` or `resources:`, and below it `- {type: user, id: user_2abc, properties: {role: admin}}`"
# AuthZEN callers may use either word for a user; both find the same entity.
_SYNONYMS = {"identity": "user"}
_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode
_NOTHING: Properties = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Entity:
    """A subject or resource with its attributes and its place in a file."""

    file: str
    line: int
    type: str
    id: str
    properties: Properties = field(default_factory=lambda: _NOTHING, hash=False)

    @property
    def place(self) -> str:
        """`file:line`."""
        return place_of(self.file, self.line)

    @property
    def view(self) -> RowView:
        """The entity in a JSON document."""
        return RowView(self.file, self.line, None, str(self))

    def __str__(self) -> str:
        return f"{self.type} {self.id} {_encode(dict(self.properties))}"


# By type and id.
Known = Mapping[tuple[str, str], Entity]
_NONE: Known = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Entities:
    """The subjects and resources of a policy."""

    subjects: Known = field(default_factory=lambda: _NONE, hash=False)
    resources: Known = field(default_factory=lambda: _NONE, hash=False)


# The entities of one file: those of each list, in the order of `_LISTS`.
_Taken = tuple[list[Entity], ...]


_EMPTY = Entities()


def load(
    source: PolicySource,
    catalog: Container[str],
    faults: list[Fault],
    before: Mapping[str, str] = MappingProxyType({}),
    known: Entities = _EMPTY,
) -> Entities:
    """Load the entities of all files; faults are added to `faults`.

    `known` are the entities of the files `before`, which had no fault under the same catalogue: unchanged files are
    not parsed again.
    """
    files = [file for file in source.files if file.startswith(FOLDER)]
    same = {file for file in files if before.get(file) == source.files[file]}
    if len(same) == len(files) == sum(file.startswith(FOLDER) for file in before):
        return known
    taken = _taken(known, same)
    found: dict[str, dict[tuple[str, str], Entity]] = {name: {} for name in _LISTS}
    for file in files:
        text = source.files[file]
        plain_entities = taken.get(file) or _read_lines(file, text, catalog)
        if plain_entities is not None and _add(found, plain_entities):
            continue
        count = len(faults)
        root = read_document(file, text, faults)
        if root:
            _EntitiesFile(Shape(source, file, faults), found, catalog).read(root)
        elif len(faults) == count:
            faults.append(Fault("wrong-type", file, 1, 1, "the file has no entities", _FILE))
    return Entities(*(MappingProxyType(found[name]) for name in _LISTS))


def _taken(known: Entities, files: Container[str]) -> dict[str, _Taken]:
    """The known entities of some files."""
    found: dict[str, _Taken] = {}
    for place, entities in enumerate((known.subjects, known.resources)):
        for entity in entities.values():
            if entity.file in files:
                lists = found.get(entity.file)
                if lists is None:
                    lists = found[entity.file] = ([], [])
                lists[place].append(entity)
    return found


def _add(found: Mapping[str, dict[tuple[str, str], Entity]], lists: _Taken) -> bool:
    """Add the entities of a file; return False and add none if one is a duplicate."""
    added = [{(entity.type, entity.id): entity for entity in entities} for entities in lists]
    for name, entities, new in zip(_LISTS, lists, added, strict=True):
        if len(new) < len(entities) or not found[name].keys().isdisjoint(new):
            return False
    for name, new in zip(_LISTS, added, strict=True):
        found[name].update(new)
    return True


def _read_lines(file: str, text: str, catalog: Container[str]) -> _Taken | None:
    """Parse a file in the plain form; None if it may have a fault."""
    lists = read_lists(text)
    if lists is None:
        return None
    found: _Taken = ([], [])
    for name, entities in zip(_LISTS, found, strict=True):
        for line, item in lists.get(name, ()):
            kind, identity, properties = item.get("type"), item.get("id"), item.get("properties", _NOTHING)
            if (
                not isinstance(kind, str)
                or not isinstance(identity, str)
                or not isinstance(properties, Mapping)
                or not item.keys() <= _KNOWN_KEYS
                or not identity
                or _name_fault(name, kind, identity)
                or (name == "subjects" and not _are_known(properties.get("permissions", _NOTHING), catalog))
            ):
                return None
            entities.append(
                Entity(file, line, kind, identity, MappingProxyType(properties) if properties else _NOTHING)
            )
    return found


def _are_known(permissions: object, catalog: Container[str]) -> bool:
    """Whether the permissions of a subject, if any, are in the catalogue."""
    if permissions is _NOTHING:
        return True
    texts = permissions if isinstance(permissions, list) and permissions else [permissions]
    return all(
        isinstance(text, str) and text and all(word in catalog for word in text.split(" ") if word) for text in texts
    )


@dataclass(frozen=True, slots=True)
class _EntitiesFile:
    shape: Shape
    found: Mapping[str, dict[tuple[str, str], Entity]]
    catalog: Container[str]

    def read(self, root: Node) -> None:
        for name, (_, listed) in self.shape.entries(root, _LISTS, "a file of entities", _FILE).items():
            if not isinstance(listed, ListNode) or not listed.items:
                self.shape.fault("wrong-type", listed, f"`{name}` must be a list with at least one entity", _ENTITY)
                continue
            for node in listed.items:
                for entity in self._entity(node, name):
                    first = self.found[name].setdefault((entity.type, entity.id), entity)
                    if first is not entity:
                        message = f"`{entity.type}` `{entity.id}` is defined twice, first in {first.place}"
                        self.shape.fault("duplicate-entity", node, message, "keep one")

    def _entity(self, node: Node, name: str) -> Iterator[Entity]:
        """The entity of one item of a list, unless it has a fault."""
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
                self.shape.fault("wrong-type", below, "`properties` must be a mapping", _ENTITY)
                return
            if name == "subjects":
                self._check_permissions(below)
            properties = MappingProxyType({str(key.value): plain(value) for key, value in below.entries})
        yield Entity(self.shape.file, node.line, kind, identity, properties)

    def _check_permissions(self, properties: Entries) -> None:
        """Check that a subject's permissions are in the catalogue, since others would be dropped at evaluation."""
        for key, value in properties.entries:
            if key.value == "permissions":
                for item, text in self.shape.texts(value, "permissions"):
                    for grant in (word for word in text.split(" ") if word and word not in self.catalog):
                        message = f"`{grant}` is not in the catalogue"
                        self.shape.fault("unknown-grant", item, message, "facts and roles come from `g` rows", grant)


def _name_fault(name: str, kind: str, identity: str) -> tuple[str, str, str] | None:
    """The fault of a type or id, as key, message and hint; None if requests can name the entity."""
    if not _TYPE.fullmatch(kind):
        return "type", f"`{kind}` is not a type", "a type is a word, such as `record`"
    if name == "resources":
        if kind == "route":
            return (
                "type",
                "routes come from the application and `upstreams/`",
                "use the type of a thing, such as `record`",
            )
        if not THING.fullmatch(f"{kind}:{identity}"):
            return "id", f"`{identity}` is not an id that a row can name", 'remove spaces, `*{}"|` and a leading `/`'
    elif kind in _SYNONYMS:
        return "type", f"`{kind}` is another word for `{_SYNONYMS[kind]}`", f"write `{_SYNONYMS[kind]}`"
    elif kind == "user" and not is_grant(f"user:{identity}", ()):
        return (
            "id",
            f"`{identity}` is not a user id that a row can name",
            "write a token's `sub`: visible ASCII, without spaces",
        )
    return None
