"""Requests by route and status: counted outside of everything else, so that no answer is left out."""

from __future__ import annotations

from collections.abc import Mapping

from app.audit.tally import Tally

UNMATCHED = "unmatched"  # the route of a path that is on no table
NO_ANSWER = "none"  # the status of a request whose caller left before there was one


class Requests(Tally):
    """How many and for how long, by route and status."""

    __slots__ = ("_templates", "known")

    def __init__(self) -> None:
        super().__init__()
        self._templates: Mapping[str, str] = {}
        # By Litestar's own template and the status: the way of all but the first of each.
        self.known: dict[str | None, dict[int, list[int]]] = {}

    def name(self, templates: Mapping[str, str]) -> None:
        """Take these for the names of routes, by Litestar's own templates."""
        self._templates = templates

    def first(self, template: str | None, status: int) -> list[int]:
        """Where to append the duration of a request that is not `known`; it is from here on."""
        recent = self.recent(self._templates.get(template or "", UNMATCHED), str(status) if status else NO_ANSWER)
        self.known.setdefault(template, {})[status] = recent
        return recent


def class_of(code: str) -> str:
    """The class of a status: `2xx` of `200`."""
    return code if code == NO_ANSWER else f"{code[0]}xx"
