"""How much work one document may cause, whatever it consists of: short texts can ask for hours of it."""

from __future__ import annotations

from enum import Enum

from app.policy.language.openapi.tree import Unreadable

MAX_STEPS = 3_000_000  # a step takes at most about a microsecond
MAX_STEPS_TOGETHER = 12_000_000  # of all documents of a policy
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


class DocumentBudget:
    """The steps that remain for a document. Once they are spent, any more work is refused.

    `before` are those that the documents before it in its policy took.
    """

    def __init__(self, before: int = 0) -> None:
        self._steps = min(MAX_STEPS, MAX_STEPS_TOGETHER - before)
        self._left = self._steps
        self._spent = dict.fromkeys(Work, 0)

    @property
    def spent(self) -> int:
        """The steps of all kinds so far."""
        return self._steps - max(self._left, 0)

    def spend(self, work: Work, steps: int) -> None:
        """Take the steps of some work before it is done. Raises Unreadable, which names what took most of them."""
        self._left -= steps
        self._spent[work] += steps
        if self._left >= 0:
            return
        message, hint = max(self._spent, key=self._spent.__getitem__).value
        if self._steps < MAX_STEPS:
            together = f"the documents of the policy take more than {MAX_STEPS_TOGETHER} steps together to read"
            raise Unreadable(together, f"describe fewer services in one policy; of this document: {hint}")
        raise Unreadable(f"{message}: the document takes more than {MAX_STEPS} steps to read", hint)
