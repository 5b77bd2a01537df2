"""Which `g` rows lead to a grant and from it, and which rows need it, in texts that may have faults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from app.policy.editing.text_rows import TextRow, text_rows


class GrantLinks:
    """The rows of a policy by the grants that they name."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._into: dict[str, list[TextRow]] = {}
        self._from: dict[str, list[TextRow]] = {}
        self._needing: dict[str, list[TextRow]] = {}
        for row in text_rows(sources):
            if row.is_membership:
                self._into.setdefault(row.cell(2), []).append(row)
                self._from.setdefault(row.cell(1), []).append(row)
            else:
                for grant in row.cell(1).split(" "):
                    self._needing.setdefault(grant, []).append(row)

    def rows_adding_to(self, member: str) -> list[TextRow]:
        """The `g` rows that add a grant to a member."""
        return self._from.get(member, [])

    def rows_giving(self, grant: str) -> list[TextRow]:
        """The `g` rows that add this grant."""
        return self._into.get(grant, [])

    def rows_needing(self, grant: str) -> list[TextRow]:
        """The `p` rows that need this grant."""
        return self._needing.get(grant, [])

    def holders(self, grant: str) -> list[str]:
        """The members to which `g` rows lead this grant, directly or through roles; sorted, roles first."""
        found = set(self._reached(grant, self._into, 1)) - {grant}
        return sorted(found, key=lambda member: (not member.startswith("role:"), member))

    def added(self, member: str) -> list[str]:
        """All that `g` rows add to a member, directly or through roles, sorted."""
        return sorted(set(self._reached(member, self._from, 2)) - {member})

    def _reached(self, grant: str, links: Mapping[str, list[TextRow]], cell: int) -> Iterator[str]:
        seen = {grant}
        todo = [grant]
        while todo:
            for row in links.get(todo.pop(), ()):
                if (other := row.cell(cell)) not in seen:
                    seen.add(other)
                    todo.append(other)
        yield from filter(None, seen)
