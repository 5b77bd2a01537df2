"""Storage for the decision log under test."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from app.audit.batch import Batch
from app.audit.record import Record


class Store:
    """Accepts batches unless it is set to fail."""

    def __init__(self) -> None:
        self.batches: list[Sequence[Record]] = []
        self.failing: Exception | None = None
        self.tries = 0

    async def write(self, batch: Batch) -> None:
        self.tries += 1
        await asyncio.sleep(0)
        if self.failing:
            raise self.failing
        self.batches.append(list(batch.records()))

    @property
    def records(self) -> list[Record]:
        return [record for batch in self.batches for record in batch]
