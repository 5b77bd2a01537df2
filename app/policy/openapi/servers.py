"""Where servers put endpoints: the paths of their addresses, with variables by their default and enumerated values."""

from __future__ import annotations

import re
from itertools import islice, product
from math import prod
from urllib.parse import urlsplit

from app.policy.openapi.tree import Branch, Unreadable, Value
from app.policy.source import shown

MAX_ADDRESSES = 1000  # of one server, by the values of its variables
MAX_ADDRESSES_TOGETHER = 20_000  # of a document
MAX_PATHS = 50  # of one list of servers

_VARIABLE = re.compile(r"\{([^{}]*)\}")
_EXAMPLE = "write `- url: https://orders.example.com/v1`"


class Servers:
    """The servers of one document and of its paths. A list that many paths share is looked at once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[str, ...]] = {}
        self._lists: list[Value] = []  # so that no other list gets the identity of one that is known
        self._addresses = 0

    def base_paths(self, servers: Value, line: int) -> tuple[str, ...]:
        """The paths before those of a document, without a last slash; an empty one for none. Raises Unreadable."""
        if servers is None or servers == []:
            return ("",)
        found = self._known.get(id(servers))
        if found is None:
            found = self._known[id(servers)] = self._read(servers, line)
            self._lists.append(servers)
        return found

    def _read(self, servers: Value, line: int) -> tuple[str, ...]:
        if not isinstance(servers, list):
            raise Unreadable("`servers` is a list", _EXAMPLE, line)
        found: dict[str, None] = {}
        for server in servers:
            url = server.get("url") if isinstance(server, Branch) else None
            if not isinstance(server, Branch) or not isinstance(url, str):
                raise Unreadable("a server has a `url`", _EXAMPLE, line)
            place = server.line_of("url") or line
            for address in _addresses(url, server.get("variables"), place):
                self._addresses += 1
                if self._addresses > MAX_ADDRESSES_TOGETHER:
                    message = f"the servers have more than {MAX_ADDRESSES_TOGETHER} addresses together"
                    raise Unreadable(message, "give their variables fewer values", place)
                found[_path(address, place)] = None
                if len(found) > MAX_PATHS:
                    message = f"the servers have more than {MAX_PATHS} paths"
                    raise Unreadable(message, "describe some of them in a document of their own", place)
        return tuple(found)


def _addresses(url: str, variables: Value, line: int) -> list[str]:
    """The address with each combination of what its variables can be."""
    names = tuple(dict.fromkeys(_VARIABLE.findall(url)))
    known = {name: _values(variables.get(name) if isinstance(variables, Branch) else None) for name in names}
    if prod(max(len(values), 1) for values in known.values()) > MAX_ADDRESSES:
        message = f"the server `{shown(url)}` has more than {MAX_ADDRESSES} addresses"
        raise Unreadable(message, "give its variables fewer values", line)
    # What has no value stays as it is: in the name of a host it does not matter.
    choices = [known[name] or (f"{{{name}}}",) for name in names]
    found = []
    for chosen in islice(product(*choices), MAX_ADDRESSES):
        values = dict(zip(names, chosen, strict=True))
        found.append(_VARIABLE.sub(lambda variable: values[variable[1]], url))  # noqa: B023  # used at once
    return found


def _values(variable: Value) -> tuple[str, ...]:
    if not isinstance(variable, Branch):
        return ()
    default, others = variable.get("default"), variable.get("enum")
    every = [default, *(others if isinstance(others, list) else ())]
    return tuple(dict.fromkeys(value for value in every if isinstance(value, str)))


def _path(address: str, line: int) -> str:
    what = f"the server `{shown(address)}`"
    try:
        path = urlsplit(address).path if "://" in address or address.startswith("//") else address
    except ValueError:
        raise Unreadable(f"{what} is no address", _EXAMPLE, line) from None
    if "{" in path or "}" in path:
        message = f"{what} does not say which path its endpoints lie at"
        raise Unreadable(message, "write its path out, or give its variables a `default`", line)
    if "?" in address or "#" in address:
        raise Unreadable(f"{what} has a query or a fragment", "write its address without", line)
    path = path.rstrip("/")
    if path and not path.startswith("/"):
        message = f"{what} is relative to where its document is served, which is not known here"
        raise Unreadable(message, f"write its path from the root, such as `/{path.lstrip('./')}`", line)
    return path
