"""The base paths of servers, with the default and enumerated values of their variables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from math import prod
from urllib.parse import urlsplit

from app.policy.language.openapi.budget import CHARACTERS, DocumentBudget, Work
from app.policy.language.openapi.paths import MAX_LENGTH
from app.policy.language.openapi.tree import Branch, Unreadable, Value
from app.policy.language.source import shown

MAX_ADDRESSES = 1000  # of one server, over the values of its variables
MAX_ADDRESSES_TOGETHER = 20_000  # of a document
MAX_PATHS = 50  # of one list of servers

_VARIABLE = re.compile(r"\{([^{}]*)\}")
_AUTHORITY = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//([^/?#\\]*)")
# In the authority such a value does not change the path.
_HOST_LIKE = re.compile(r"[A-Za-z0-9._-]+")
_EXAMPLE = "write `- url: https://orders.example.com/v1`"


class Servers:
    """The servers of one document and of its paths. A list that many paths share is processed once."""

    def __init__(self, budget: DocumentBudget) -> None:
        self._budget = budget
        self._known: dict[int, tuple[str, ...]] = {}
        self._lists: list[Value] = []  # keeps known lists alive, so that no other list gets the same id()
        self._addresses = 0

    def base_paths(self, servers: Value, line: int) -> tuple[str, ...]:
        """The base paths of servers, without a trailing slash; an empty one without servers. Raises Unreadable."""
        if servers is None or servers == []:
            return ("",)
        found = self._known.get(id(servers))
        if found is None:
            found = self._known[id(servers)] = self._read(servers, line)
            self._lists.append(servers)
        return found

    def _read(self, servers: Value, line: int) -> tuple[str, ...]:
        if not isinstance(servers, list):
            raise Unreadable("`servers` must be a list", _EXAMPLE, line)
        found: dict[str, None] = {}
        for server in servers:
            url = server.get("url") if isinstance(server, Branch) else None
            if not isinstance(server, Branch) or not isinstance(url, str):
                raise Unreadable("a server must have a `url`", _EXAMPLE, line)
            place = server.line_of("url") or line
            for address in self._addresses_of(url, server.get("variables"), place):
                self._addresses += 1
                if self._addresses > MAX_ADDRESSES_TOGETHER:
                    message = f"the servers together have more than {MAX_ADDRESSES_TOGETHER} addresses"
                    raise Unreadable(message, "give their variables fewer values", place)
                found[_path(address, place)] = None
                if len(found) > MAX_PATHS:
                    message = f"the servers have more than {MAX_PATHS} paths"
                    raise Unreadable(message, "describe some of them in another document", place)
        return tuple(found)

    def _addresses_of(self, url: str, variables: Value, line: int) -> Iterator[str]:
        """Iterate over the address with each combination of its variables' values. Raises Unreadable.

        One value represents all values that only change the host.
        """
        if len(url) > MAX_LENGTH:
            raise _too_long(f"the server `{shown(url)}`", line)
        pieces = _VARIABLE.split(url)
        names = tuple(dict.fromkeys(pieces[1::2]))
        hosts = _only_in_authority(url)
        choices: list[tuple[str, ...]] = []
        for name in names:
            values = self._values(variables.get(name) if isinstance(variables, Branch) else None)
            # A variable without a value is kept: in a host name it does not matter.
            choices.append((_distinct(values) if name in hosts else values) or (f"{{{name}}}",))
        if prod(map(len, choices)) > MAX_ADDRESSES:
            message = f"the server `{shown(url)}` has more than {MAX_ADDRESSES} addresses"
            raise Unreadable(message, "give its variables fewer values", line)
        for chosen in product(*choices):
            self._budget.spend(Work.SERVERS, 10 + len(pieces))
            values_by_name = dict(zip(names, chosen, strict=True))
            filled = [values_by_name[piece] if at % 2 else piece for at, piece in enumerate(pieces)]
            length = sum(map(len, filled))
            if length > MAX_LENGTH:
                raise _too_long(f"the server `{shown(url)}` with the values of its variables", line)
            self._budget.spend(Work.SERVERS, length // CHARACTERS)
            yield "".join(filled)

    def _values(self, variable: Value) -> tuple[str, ...]:
        """The distinct values of a variable."""
        if not isinstance(variable, Branch):
            return ()
        default, others = variable.get("default"), variable.get("enum")
        every = [default, *(others if isinstance(others, list) else ())]
        found = tuple(dict.fromkeys(value for value in every if isinstance(value, str)))
        self._budget.spend(Work.SERVERS, len(every) + sum(map(len, found)) // CHARACTERS)
        return found


def _too_long(what: str, line: int) -> Unreadable:
    return Unreadable(f"{what} has more than {MAX_LENGTH} characters", "write a shorter address", line)


def _only_in_authority(url: str) -> frozenset[str]:
    """The variables of an address that occur only in its host or port."""
    found = _AUTHORITY.match(url)
    if found is None:
        return frozenset()
    return frozenset(_VARIABLE.findall(found[1])).difference(_VARIABLE.findall(url[found.end() :]))


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    """The values of an authority variable that can lead to different paths."""
    plain = next((value for value in values if _HOST_LIKE.fullmatch(value)), None)
    return tuple(value for value in values if value == plain or not _HOST_LIKE.fullmatch(value))


def _path(address: str, line: int) -> str:
    what = f"the server `{shown(address)}`"
    try:
        path = urlsplit(address).path if "://" in address or address.startswith("//") else address
    except ValueError:
        raise Unreadable(f"{what} is not an address", _EXAMPLE, line) from None
    if "{" in path or "}" in path:
        message = f"{what} does not determine the path of its endpoints"
        raise Unreadable(message, "write the path literally, or give its variables a `default`", line)
    if "?" in address or "#" in address:
        raise Unreadable(f"{what} has a query or a fragment", "remove it", line)
    path = path.rstrip("/")
    if path and not path.startswith("/"):
        message = f"{what} is relative to the address of the document, which is unknown here"
        raise Unreadable(message, f"write its path from the root, such as `/{path.lstrip('./')}`", line)
    return path
