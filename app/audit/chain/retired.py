"""Which parts of a chain are retired."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from app.audit.chain.entry import PartClass, Retirement, SealedPart

_NONE = -(2**63)


class RetiredParts:
    """The retirements of a chain, with their sequence numbers, oldest first. Each retires parts of earlier segments."""

    def __init__(self, retirements: Sequence[tuple[int, Retirement]] = ()) -> None:
        self._sequences = [sequence for sequence, _ in retirements]
        # For each retirement, what it and the later ones retire together.
        self._before_at: list[int] = []
        self._up_to_id: list[dict[PartClass, int]] = []
        before_at, up_to_id = _NONE, dict[PartClass, int]()
        for _, retirement in reversed(retirements):
            if retirement.before_at is not None:
                before_at = max(before_at, retirement.before_at)
            elif retirement.part_class is not None and retirement.up_to_id is not None:
                most = max(up_to_id.get(retirement.part_class, _NONE), retirement.up_to_id)
                up_to_id = {**up_to_id, retirement.part_class: most}
            self._before_at.append(before_at)
            self._up_to_id.append(up_to_id)
        self._before_at.reverse()
        self._up_to_id.reverse()
        # Entries before this one may be missing.
        self.first_sequence = max((retirement.first_sequence for _, retirement in retirements), default=1)

    @property
    def newest_sequence(self) -> int:
        """The sequence number of the newest retirement; 0 if there is none."""
        return self._sequences[-1] if self._sequences else 0

    def covers(self, sequence: int, part: SealedPart) -> bool:
        """Whether a part of the segment with this sequence number is retired."""
        later = bisect_right(self._sequences, sequence)
        if later == len(self._sequences):
            return False
        return part.first_at < self._before_at[later] or part.first_id <= self._up_to_id[later].get(
            part.part_class, _NONE
        )
