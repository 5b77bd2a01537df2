"""Reads the values of a condition in Python before CEL evaluates it; each read is one question about one path.

CEL's library converts all of its input, at about 1.5 µs for each text, and recurses without a limit. So it gets only
the values that a condition names, and of lists and maps only plain and small ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

MAX_ITEMS = 1_000
MAX_CHARACTERS = 65_536
MAX_LEVELS = 16

Network = IPv4Network | IPv6Network
Path = tuple[str, ...]
Ask = Callable[[Mapping[str, object]], object]

_HALF = re.compile(r"[\ud800-\udfff]")  # an unpaired surrogate, which UTF-8 cannot encode
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class NoValue(Exception):
    """A read has no value in this context, and the message says why. CEL then sees an error in its place."""


@dataclass(frozen=True, slots=True)
class VariableRead:
    """One read of a condition: its `path`, and its first occurrence from character `start` up to `end`."""

    path: Path
    start: int
    end: int
    ask: Ask = field(repr=False, compare=False)

    def __str__(self) -> str:
        return shown(self.path)


def shown(path: Path) -> str:
    """A path as written in a condition."""
    return path[0] + "".join(f".{name}" if _PLAIN_NAME.fullmatch(name) else f"['{name}']" for name in path[1:])


def value_of(path: Path) -> Ask:
    """Read the value at a path."""

    def ask(context: Mapping[str, object]) -> object:
        found = _walk(context, path)
        if type(found) is str and found.isascii() and len(found) <= MAX_CHARACTERS:
            return found
        try:
            return _plain(found, 0, [MAX_ITEMS, MAX_CHARACTERS])
        except NoValue as why:
            raise NoValue(f"`{shown(path)}` {why}") from None

    return ask


def presence_of(path: Path) -> Ask:
    """Read whether a path has a value, including null. Its map must exist."""

    def ask(context: Mapping[str, object]) -> object:
        holder = _walk(context, path[:-1])
        if isinstance(holder, Mapping):
            return path[-1] in holder
        raise NoValue(f"`{shown(path[:-1])}` is not a map")

    return ask


def equality(text: str, path: Path) -> Ask:
    """Read whether the value at a path equals a text, ten times as fast as in CEL's library."""
    value = value_of(path)

    def ask(context: Mapping[str, object]) -> object:
        return value(context) == text

    return ask


def membership(text: str, path: Path) -> Ask:
    """Read whether the list or map at a path contains a text, without converting it for CEL."""

    def ask(context: Mapping[str, object]) -> object:
        holder = _walk(context, path)
        if isinstance(holder, (list, tuple, frozenset, Mapping)):
            return text in holder
        raise NoValue(f"`{shown(path)}` is not a list or map")

    return ask


def address_within(network: Network, path: Path) -> Ask:
    """Read whether the address at a path belongs to a network. An IPv4-mapped IPv6 address counts as IPv4."""

    def ask(context: Mapping[str, object]) -> object:
        text = _walk(context, path)
        try:
            address = ip_address(text) if isinstance(text, str) else None
        except ValueError:
            address = None
        if address is None:
            raise NoValue(f"`{shown(path)}` is not an IP address")
        return _unmapped(address) in network

    return ask


def network_hint(text: str) -> str:
    """A hint for an invalid network."""
    try:
        return f"did you mean '{ip_network(text, strict=False)}'?"
    except ValueError:
        return "write '10.0.0.0/8' or '2001:db8::/32'"


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _walk(context: Mapping[str, object], path: Path) -> object:
    found: object = context
    for name in path:
        if not isinstance(found, (dict, Mapping)):  # dict first: asking an abstract class costs ten times as much
            raise NoValue(f"`{shown(path)}` has no value")
        try:
            found = found[name]
        except KeyError:
            raise NoValue(f"`{shown(path)}` has no value") from None
    return found


def _plain(value: object, level: int, left: list[int]) -> object:
    """The value as passed to CEL's library; `left` counts down items and characters.

    Raises NoValue, without the path, if it is too large or has no CEL type.
    """
    if isinstance(value, str):
        left[1] -= len(value)
        if left[1] < 0:
            raise NoValue(f"has more than {MAX_CHARACTERS} characters")
        if not value.isascii() and _HALF.search(value):
            raise NoValue("contains an unpaired surrogate")
        return value
    if value is None or isinstance(value, (bool, float, timedelta)):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return value
    if isinstance(value, datetime) and value.tzinfo is not None:  # the library treats a naive one as local time
        return value
    if isinstance(value, frozenset):
        value = sorted(map(str, value))
    if not isinstance(value, (list, tuple, Mapping)):
        raise NoValue(f"contains a value that CEL does not support, of type {type(value).__name__}")
    left[0] -= len(value)
    if left[0] < 0:
        raise NoValue(f"has more than {MAX_ITEMS} items")
    if level == MAX_LEVELS:
        raise NoValue(f"has more than {MAX_LEVELS} levels")
    if not isinstance(value, Mapping):
        return [_plain(item, level + 1, left) for item in value]
    if not all(isinstance(key, str) for key in value):
        raise NoValue("has a key that is not a text")
    return {_plain(key, level, left): _plain(item, level + 1, left) for key, item in value.items()}
