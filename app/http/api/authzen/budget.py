"""Limits on the values in a request."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from app.http.api.authzen.wire import EntityType, RequestedAction, RequestedEntity
from app.http.wire.problems import Problem

# In all items of a request; values of the defaults count for each item that has them.
MAX_VALUES = 1_000_000
# In a search, which may examine 10,000 candidates: in its body, and in the entity to search for.
MAX_SEARCH_VALUES = 1_000
MAX_TARGET_VALUES = 100
# Of a subject, which are examined in one go, for two milliseconds. A token of 16 KB has fewer.
MAX_GRANTS = 5_000
_GRANTS = ("permissions", "scope")  # attributes whose text is a list, separated by spaces


class Sizes:
    """Counts the values in attributes, and caches the count of each object."""

    def __init__(self) -> None:
        self._cache: dict[int, tuple[object, int]] = {}

    def of(self, *parts: object) -> int:
        """The number of values in entities, actions and contexts, at all levels."""
        return sum(
            self._size(part.properties if isinstance(part, EntityType | RequestedAction) else part) for part in parts
        )

    def _size(self, attributes: object) -> int:
        cached = self._cache.get(id(attributes))
        if cached is None:  # the object is kept, because Python reuses the id of a deleted one
            cached = self._cache[id(attributes)] = attributes, _count(attributes) + _count_words(attributes)
        return cached[1]


def grants_fault(subject: RequestedEntity | UnsetType) -> str:
    """Why a subject states too many grants; empty if it does not."""
    if subject is UNSET or not subject.properties:
        return ""
    stated = [subject.properties.get(name) for name in _GRANTS]
    count = sum(
        len(each) if isinstance(each, list) else each.count(" ") + 1 for each in stated if isinstance(each, list | str)
    )
    return f"The subject states {count} grants; at most {MAX_GRANTS} are allowed." if count > MAX_GRANTS else ""


def check_grants(subject: RequestedEntity | UnsetType) -> None:
    """Raises Problem 400 if a subject states too many grants."""
    if fault := grants_fault(subject):
        raise Problem(400, fault)


def check_items(total: int) -> None:
    """Raises Problem 400 if the items have more than MAX_VALUES values in total."""
    if total > MAX_VALUES:
        raise Problem(
            400,
            f"The items have {total} values in their attributes and contexts; at most {MAX_VALUES} are allowed, and "
            "what the defaults hold counts for each item that has it.",
        )


def check_search(target: object, *parts: object) -> None:
    """Raises Problem 400 if a search has too many values in total, or in the entity to search for."""
    sizes = Sizes()
    if (count := sizes.of(target)) > MAX_TARGET_VALUES:
        raise Problem(400, f"The entity to search for has {count} values; at most {MAX_TARGET_VALUES} are allowed.")
    if (total := sizes.of(target, *parts)) > MAX_SEARCH_VALUES:
        raise Problem(400, f"The search has {total} values; at most {MAX_SEARCH_VALUES} are allowed.")


def _count_words(attributes: object) -> int:
    """The number of grants in texts, less one for each text: a subject is examined with all of them again and again."""
    if not isinstance(attributes, dict):
        return 0
    texts = [attributes.get(name) for name in _GRANTS]
    return sum(text.count(" ") for text in texts if isinstance(text, str))


def _count(value: object) -> int:
    """The number of values at all levels below this one."""
    pending, count = [value], -1
    for part in pending:
        count += 1
        if isinstance(part, dict):
            pending.extend(part.values())
        elif isinstance(part, list):
            pending.extend(part)
    return count
