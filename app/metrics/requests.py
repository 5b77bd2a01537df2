"""Counts of requests by route and status."""

from __future__ import annotations

from collections.abc import Mapping

from app.audit.tally import Tally

UNMATCHED = "unmatched"  # the route of a path that matches none
NO_ANSWER = "none"  # the status of a request whose client disconnected before the response


class Requests(Tally):
    """The durations of requests by route and status."""

    __slots__ = ("_templates", "known")

    def __init__(self) -> None:
        super().__init__()
        self._templates: Mapping[str, str] = {}
        # By Litestar's template and status: the lists of all requests except the first of its kind.
        self.known: dict[str | None, dict[int, list[int]]] = {}

    def set_templates(self, templates: Mapping[str, str]) -> None:
        """Set the route labels, by Litestar's templates."""
        self._templates = templates

    def first(self, template: str | None, status: int) -> list[int]:
        """The list for a request that is not in `known`, which is added there."""
        recent = self.recent(self._templates.get(template or "", UNMATCHED), str(status) if status else NO_ANSWER)
        self.known.setdefault(template, {})[status] = recent
        return recent


def status_class(code: str) -> str:
    """The class of a status: `2xx` of `200`."""
    return code if code == NO_ANSWER else f"{code[0]}xx"
