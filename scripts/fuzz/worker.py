"""The process that runs the cases: `python -m scripts.fuzz.worker ORDER`, started by `supervisor`.

It writes each case to a file that the supervisor maps before it runs it, and a line of JSON for each that failed, for
the tallies every few seconds, and at the end.
"""

from __future__ import annotations

import faulthandler
import json
import mmap
import signal
import sys
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scripts.fuzz.campaign import Campaign

MAX_SHOWN = 1_000_000  # bytes of a case
_NUMBER, _NAME = 8, 32  # bytes of the number of a case and of the name of its target
_HEAD = _NUMBER + _NAME + 4
_TALLY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Case:
    """The case at hand, by its number."""

    number: int
    target: str
    data: bytes


class Board:
    """A file with the case at hand, which another process reads."""

    def __init__(self, path: Path, *, writes: bool = False) -> None:
        if writes:
            path.write_bytes(bytes(_HEAD + MAX_SHOWN))
        self._file = path.open("r+b")
        self._map = mmap.mmap(self._file.fileno(), _HEAD + MAX_SHOWN)
        self._number = 0

    def write(self, target: str, data: bytes) -> None:
        """Show a case."""
        self._number += 1
        shown = data[:MAX_SHOWN]
        self._map[_HEAD : _HEAD + len(shown)] = shown
        name = target.encode()[:_NAME].ljust(_NAME)
        self._map[:_HEAD] = self._number.to_bytes(_NUMBER, "big") + name + len(shown).to_bytes(4, "big")

    def read(self) -> Case:
        """The case that is shown."""
        head = self._map[:_HEAD]
        size = int.from_bytes(head[-4:], "big")
        name = head[_NUMBER:-4].decode().strip("\0 ")
        return Case(int.from_bytes(head[:_NUMBER], "big"), name, self._map[_HEAD : _HEAD + size])

    def close(self) -> None:
        """Close the file."""
        self._map.close()
        self._file.close()


def main(order: Mapping[str, Any]) -> None:
    """Run what is ordered."""
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)  # to say where it hangs, in C code too
    board = Board(Path(order["board"]), writes=True)
    last = time.monotonic()

    def announce(target: str, data: bytes) -> None:
        nonlocal last
        board.write(target, data)
        if (now := time.monotonic()) - last >= _TALLY_SECONDS:
            last = now
            tell()

    campaign = Campaign(order["modules"], order["seed"], announce, order["max_seconds"])

    def tell(**more: Any) -> None:
        print(
            json.dumps({"tallies": {name: asdict(each) for name, each in campaign.tallies.items()}, **more}), flush=True
        )

    for failure in campaign.run(until=time.monotonic() + order["seconds"], cases=order["cases"]):
        data = b64encode(failure.data).decode()
        tell(failure={"target": failure.target, "data": data, "message": failure.message})
    tell(finished=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
