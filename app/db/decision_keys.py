"""Stores decision keys and their parts, each once, and caches their ids."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence, Set
from datetime import date, timedelta
from hashlib import sha256
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from app.audit.decision_class import DECISION_CLASSES, DecisionClass, class_of
from app.audit.record import DecisionKey
from app.db.decision_volumes import KEY_BYTES, part_bytes
from app.db.tables.base import table_of
from app.db.tables.decisions import DecisionCaller, DecisionKeyRow, DecisionOutcome, DecisionTarget, GrantSet
from app.db.upserts import Upsert

MAX_CACHED = 20_000  # keys, and as many of each part
MAX_CACHED_COMBINATIONS = 50_000  # three ids each
# Of all that is cached, about: texts, which callers choose, and objects.
MAX_CACHED_BYTES = 10_000_000
_PART_BYTES, _CACHED_KEY_BYTES = 400, 600
_SLICE = 250  # keys that are looked up at a time, which takes half a millisecond of the event loop
_DIGEST_BYTES = 20
_DAYS = (("first_day", "min"), ("last_day", "max"))
_GRANT_SETS = Upsert(table_of(GrantSet), ("digest", "grants", "last_seen_on"), ("digest",), (("last_seen_on", "max"),))
_CALLERS, _TARGETS, _OUTCOMES = (
    Upsert(table_of(model), ("digest", "first_day", "last_day", *fields), ("digest",), _DAYS)
    for model, fields in (
        (DecisionCaller, ("subject", "method", "key_id", "grant_set_id", "client_id", "impersonator")),
        (DecisionTarget, ("door", "action", "resource")),
        (DecisionOutcome, ("allowed", "reason", "rule_place", "rule_text", "missing", "revision")),
    )
)
_COMBINATION = ("caller_id", "target_id", "outcome_id")
_KEYS = Upsert(
    table_of(DecisionKeyRow),
    (*_COMBINATION, "first_day", "last_day", "decision_class", "byte_count"),
    _COMBINATION,
    _DAYS,
)
_encode = msgspec.msgpack.Encoder().encode

_KEY_CONTENT = (
    "SELECT decision_keys.id, caller.digest, target.digest, outcome.digest, grants.digest FROM decision_keys "
    "JOIN decision_callers AS caller ON caller.id = caller_id "
    "JOIN decision_targets AS target ON target.id = target_id "
    "JOIN decision_outcomes AS outcome ON outcome.id = outcome_id "
    "LEFT JOIN grant_sets AS grants ON grants.id = caller.grant_set_id WHERE decision_keys.id"
)

Days = tuple[int, int]  # the first and the last one, since 1970
_Values = tuple[Any, ...]
_Stored = tuple[int, _Values]  # an id, and what it stands for: the digests of the parts of a key, or unique values


class KeyStore:
    """The stored decision keys, with a cache.

    The caller holds the lock of the log's writers and commits. It discards the store if it does not commit.
    """

    def __init__(self) -> None:
        # About the bytes of the keys that the last call of `ids` stored, by class.
        self.added_bytes: Counter[DecisionClass] = Counter()
        # Of new parts, which the first key with them counts; and the classes and bytes of keys that are being stored.
        self._part_bytes: dict[tuple[Upsert, _Values], int] = {}
        self._charges: dict[_Values, tuple[DecisionClass, int]] = {}
        self._days: Days = (0, -1)  # of all that is cached
        self._bytes = 0  # of what was cached since the cache was cleared, about
        self._keys: dict[DecisionKey, _Stored] = {}
        self._parts: dict[Upsert, dict[_Values, _Stored]] = {
            upsert: {} for upsert in (_GRANT_SETS, _CALLERS, _TARGETS, _OUTCOMES, _KEYS)
        }

    async def ids(self, connection: AsyncConnection, keys: Sequence[DecisionKey], days: Days) -> Sequence[int]:
        """The ids of keys, which are stored if they are new; `days` bound all decisions that will refer to them."""
        self.added_bytes.clear()
        if not self._days[0] <= days[0] <= days[1] <= self._days[1]:
            self._days = days
            self._clear()
        ids: list[int] = []
        for start in range(0, len(keys), _SLICE):
            ids += await self._slice(connection, keys[start : start + _SLICE])
        if self._bytes > MAX_CACHED_BYTES:
            self._clear()
        return ids

    async def _slice(self, connection: AsyncConnection, keys: Sequence[DecisionKey]) -> Sequence[int]:
        """The ids of a few keys."""
        cached = self._keys
        known = {key: stored for key in keys if (stored := cached.get(key))}
        # Since they were cached, retention may have deleted some, and a restore may have given their ids to others.
        if not await _has_content(connection, _KEY_CONTENT, set(known.values())):
            cached.clear()
            known.clear()
        if missing := [key for key in keys if key not in known]:
            new = dict(zip(missing, await self._store(connection, missing), strict=True))
            known.update(new)
            cached.update(new)
            self._bytes += _CACHED_KEY_BYTES * len(new)
            _evict(cached, MAX_CACHED)
        return [known[key][0] for key in keys]

    def _clear(self) -> None:
        """Clear the cache."""
        self._bytes = 0
        self._keys.clear()
        for cache in self._parts.values():
            cache.clear()

    async def _store(self, connection: AsyncConnection, keys: Sequence[DecisionKey]) -> Sequence[_Stored]:
        grants = [(key.grants.digest, key.grants.text) for key in keys if key.grants]
        sets = dict(zip(grants, await self._stored(connection, _GRANT_SETS, grants), strict=True))
        callers = [
            (
                *(key.subject, key.method, key.key_id),
                sets[key.grants.digest, key.grants.text][0] if key.grants else None,
                *(key.client_id, key.impersonator),
            )
            for key in keys
        ]
        targets = [(key.door, key.action, key.resource) for key in keys]
        outcomes = [
            (key.allowed, key.reason, key.rule_place, key.rule_text, " ".join(key.missing), key.revision)
            for key in keys
        ]
        columns = [
            await self._stored(connection, upsert, values)
            for upsert, values in ((_CALLERS, callers), (_TARGETS, targets), (_OUTCOMES, outcomes))
        ]
        combinations = [tuple(row_id for row_id, _ in parts) for parts in zip(*columns, strict=True)]
        self._charges = {}
        key_bytes = KEY_BYTES[connection.dialect.name]
        for key, combination, *parts in zip(keys, combinations, callers, targets, outcomes, strict=True):
            if combination not in self._charges:
                of_parts = zip((_CALLERS, _TARGETS, _OUTCOMES), parts, strict=True)
                charge = key_bytes + sum(self._part_bytes.pop(part, 0) for part in of_parts)
                if key.grants:
                    charge += self._part_bytes.pop((_GRANT_SETS, (key.grants.digest, key.grants.text)), 0)
                self._charges[combination] = (class_of(key.door, key.method), charge)
        self._part_bytes.clear()
        stored = await self._stored(connection, _KEYS, combinations)
        digests = [[digest for _, (digest,) in parts] for parts in columns]
        digests.append([key.grants.digest if key.grants else None for key in keys])
        return [(row_id, each) for (row_id, _), each in zip(stored, zip(*digests, strict=True), strict=True)]

    async def _stored(
        self, connection: AsyncConnection, upsert: Upsert, values: Sequence[_Values]
    ) -> Sequence[_Stored]:
        """The ids and unique values of rows of a table, in their order."""
        cached = self._parts[upsert]
        distinct = dict.fromkeys(values)
        if not await _has_content(connection, _content_query(upsert), {cached[x] for x in distinct if x in cached}):
            cached.clear()
        if missing := {each: _unique_values(upsert, each) for each in distinct if each not in cached}:
            newest = await _newest_id(connection, upsert)
            ids = await upsert.run(connection, [self._row(upsert, *each) for each in missing.items()])
            for each, unique in missing.items():
                if ids[unique] > newest:
                    self._note_bytes(connection, upsert, each)
            cached.update((each, (ids[unique], unique)) for each, unique in missing.items())
            self._bytes += _PART_BYTES * len(missing)
            self._bytes += sum(len(text) for each in missing for text in each if isinstance(text, str))
        found = [cached[each] for each in values]
        _evict(cached, MAX_CACHED_COMBINATIONS if upsert is _KEYS else MAX_CACHED)
        return found

    def _row(self, upsert: Upsert, values: _Values, unique: _Values) -> _Values:
        """The values of the columns of an upsert."""
        if upsert is _KEYS:
            decision_class, byte_count = self._charges[values]
            return (*values, *self._days, DECISION_CLASSES.index(decision_class), byte_count)
        if upsert is _GRANT_SETS:
            return (*values, date(1970, 1, 1) + timedelta(days=self._days[1]))
        return (*unique, *self._days, *values)

    def _note_bytes(self, connection: AsyncConnection, upsert: Upsert, values: _Values) -> None:
        """Count the bytes of a new row."""
        if upsert is _KEYS:
            decision_class, byte_count = self._charges[values]
            self.added_bytes[decision_class] += byte_count
        else:
            self._part_bytes[upsert, values] = part_bytes(
                connection.dialect.name, values, is_indexed=upsert is not _GRANT_SETS
            )


async def _newest_id(connection: AsyncConnection, upsert: Upsert) -> int:
    newest = f"SELECT coalesce(max(id), 0) FROM {upsert.table.name}"  # noqa: S608  # our own name
    return int((await connection.exec_driver_sql(newest)).scalar_one())


def _unique_values(upsert: Upsert, values: _Values) -> _Values:
    """The values of the unique columns of a row."""
    if upsert is _KEYS:
        return values
    if upsert is _CALLERS and values[-2:] == (None, None):
        values = values[:-2]  # as the releases before apps stored the caller
    return (values[0] if upsert is _GRANT_SETS else sha256(_encode(values)).digest()[:_DIGEST_BYTES],)


def _evict(cache: dict[Any, Any], limit: int) -> None:
    while len(cache) > limit:
        del cache[next(iter(cache))]


def _content_query(upsert: Upsert) -> str:
    return f"SELECT id, {', '.join(upsert.unique)} FROM {upsert.table.name} WHERE id"  # noqa: S608  # our own names


async def _has_content(connection: AsyncConnection, query: str, contents: Set[tuple[int, _Values]]) -> bool:
    """Whether the rows with these ids exist and have these values; the query ends before the comparison with ids."""
    if not contents:
        return True
    # An id may be cached with two contents, of which one is outdated.
    ids = list({row_id for row_id, _ in contents})
    if connection.dialect.name == "sqlite":
        found = await connection.exec_driver_sql(f"{query} IN (SELECT value FROM json_each(?))", (json.dumps(ids),))  # noqa: S608  # our own names
    else:
        found = await connection.exec_driver_sql(f"{query} = ANY($1::bigint[])", (ids,))
    return {(row[0], tuple(row[1:])) for row in found} == contents
