"""How much work one document may cause, whatever it consists of: short texts can ask for hours of it."""

from __future__ import annotations

from enum import Enum

from app.policy.openapi.tree import Unreadable

MAX_STEPS = 3_000_000  # a step takes at most about a microsecond
CHARACTERS = 6  # that one step reads


class Work(Enum):
    """A kind of work: what there is too much of in the document, and what to do about it."""

    REFERENCES = (
        "its references lead to too much text",
        "write shorter references, and delete the operations that no rule can name",
    )
    SERVERS = ("its servers have too many addresses", "give the servers fewer variables, with fewer values")
    PLACES = ("it has too many paths at too many servers", "divide it into several, or give it fewer servers")
    COMPARISONS = (
        "so many paths can match one request that they cannot be told apart",
        "divide it into several, or give the paths segments of text of their own",
    )


class Budget:
    """The steps that remain for a document. Once they are spent, any more work is refused."""

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self._steps = steps
        self._left = steps
        self._spent = dict.fromkeys(Work, 0)

    @property
    def spent(self) -> int:
        """The steps of all kinds so far."""
        return self._steps - self._left

    def spend(self, work: Work, steps: int) -> None:
        """Take the steps of some work before it is done. Raises Unreadable, which names what took most of them."""
        self._left -= steps
        self._spent[work] += steps
        if self._left < 0:
            message, hint = max(self._spent, key=self._spent.__getitem__).value
            raise Unreadable(f"{message}: the document takes more than {self._steps} steps to read", hint)
