"""Limits the work that a document may cause, since a short text could otherwise take hours."""

from __future__ import annotations

from enum import Enum

from app.policy.language.openapi.tree import Unreadable

MAX_STEPS = 3_000_000  # a step takes at most about a microsecond
MAX_STEPS_TOGETHER = 12_000_000  # for all documents of a policy
CHARACTERS = 6  # read in one step


class Work(Enum):
    """A kind of work: the message if a document causes too much of it, and the hint."""

    __hash__ = object.__hash__  # by identity, as members are compared: the hash of Enum is computed in Python

    REFERENCES = (
        "its references lead to too much text",
        "write shorter references, and delete operations with methods that rows cannot name",
    )
    SERVERS = ("its servers have too many addresses", "give the servers fewer variables, with fewer values")
    PLACES = ("it has too many paths at too many servers", "split it into several documents, or give it fewer servers")
    COMPARISONS = (
        "too many paths can match the same request",
        "split it into several documents, or give the paths distinct literal segments",
    )


class DocumentBudget:
    """The remaining steps for a document. Once they are spent, further work is refused.

    `before` are the steps that earlier documents of the policy took, `steps` those that are left for this one.
    """

    def __init__(self, before: int = 0) -> None:
        self.steps = min(MAX_STEPS, MAX_STEPS_TOGETHER - before)
        self._left = self.steps
        self._spent = dict.fromkeys(Work, 0)

    @property
    def spent(self) -> int:
        """The steps of all kinds so far."""
        return self.steps - max(self._left, 0)

    def spend(self, work: Work, steps: int) -> None:
        """Spend steps before doing the work. Raises Unreadable, which names the work that took the most steps."""
        self._left -= steps
        self._spent[work] += steps
        if self._left >= 0:
            return
        message, hint = max(self._spent, key=self._spent.__getitem__).value
        if self.steps < MAX_STEPS:
            together = f"the documents of the policy together take more than {MAX_STEPS_TOGETHER} steps to read"
            raise Unreadable(together, f"describe fewer services in one policy; for this document: {hint}")
        raise Unreadable(f"{message}: the document takes more than {MAX_STEPS} steps to read", hint)
