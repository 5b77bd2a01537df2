"""How much one call may ask for: values that are sent once and looked at for each item, and turns of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter

from app.http.api.authzen.wire import EntityType, RequestedAction
from app.http.wire.problems import Problem

# Over all items of a call: those of its defaults count once for each item that has them.
MAX_VALUES = 1_000_000
# In a search, which may look at 10,000 candidates: in all that is sent, and in what is sent of what is looked for.
MAX_SEARCH_VALUES = 1_000
MAX_SOUGHT_VALUES = 100
TURN_SECONDS = 0.001
GiveWay = Callable[[], Awaitable[None]]


async def turn_loop() -> None:
    """Let others run."""
    await asyncio.sleep(0)


class Turn:
    """A turn of the event loop, after which other requests have theirs."""

    __slots__ = ("_ends", "_give_way")

    def __init__(self, give_way: GiveWay = turn_loop) -> None:
        self._give_way = give_way
        self._ends = perf_counter() + TURN_SECONDS

    @property
    def is_over(self) -> bool:
        """Whether it has lasted for TURN_SECONDS."""
        return perf_counter() >= self._ends

    async def next(self) -> None:
        """Let others run, and begin another turn."""
        await self._give_way()
        self._ends = perf_counter() + TURN_SECONDS


class Sizes:
    """Counts the values in attributes, each object once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, int]] = {}

    def of(self, *parts: object) -> int:
        """The values in entities, actions and contexts, at every level."""
        return sum(
            self._size(part.properties if isinstance(part, EntityType | RequestedAction) else part) for part in parts
        )

    def _size(self, attributes: object) -> int:
        known = self._known.get(id(attributes))
        if known is None:  # kept with its object, for an id is given again to another one
            known = self._known[id(attributes)] = attributes, _count(attributes)
        return known[1]


def check_items(total: int) -> None:
    """Refuse items that have more than MAX_VALUES values together. Raises Problem 400."""
    if total > MAX_VALUES:
        raise Problem(
            400,
            f"The items have {total} values in their attributes and contexts; at most {MAX_VALUES} are allowed, and "
            "what the defaults hold counts for each item that has it.",
        )


def check_search(sought: object, *parts: object) -> None:
    """Refuse a search that sends too many values, in all or of what is `sought`. Raises Problem 400."""
    sizes = Sizes()
    if (own := sizes.of(sought)) > MAX_SOUGHT_VALUES:
        raise Problem(400, f"What is searched for has {own} values; at most {MAX_SOUGHT_VALUES} are allowed.")
    if (total := sizes.of(sought, *parts)) > MAX_SEARCH_VALUES:
        raise Problem(400, f"The search has {total} values; at most {MAX_SEARCH_VALUES} are allowed.")


def _count(value: object) -> int:
    """The values at every level below this one."""
    pending, count = [value], -1
    for part in pending:
        count += 1
        if isinstance(part, dict):
            pending.extend(part.values())
        elif isinstance(part, list):
            pending.extend(part)
    return count
