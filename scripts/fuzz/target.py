"""What a target of the fuzzing is: where its inputs come from, and what must hold for each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from hypothesis.strategies import SearchStrategy

MAX_SECONDS = 1.0  # of processor time that one case may take

# Raises Violation; any other exception is a failure as well.
Check = Callable[[bytes], None]


class Violation(Exception):
    """An outcome that no input may have. The message says which."""


@dataclass(frozen=True, slots=True)
class Target:
    """One kind of input.

    `examples` are valid inputs. `inputs` makes a strategy from them and from the seeds. `opened` has what the check
    needs, such as an application, for as long as its block runs.
    """

    name: str
    examples: Sequence[bytes]
    inputs: Callable[[Sequence[bytes]], SearchStrategy[bytes]]
    opened: Callable[[], AbstractContextManager[Check]]
