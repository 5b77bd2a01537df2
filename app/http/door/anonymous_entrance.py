"""An entrance that reads no credentials."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from app.http.door.refusal import Refusal
from app.identity.errors import AuthenticationFault, CannotVerify
from app.identity.principal import ANONYMOUS, Principal
from app.policy.engine.decision import Decision
from app.policy.engine.suspended import CannotDecide


class AnonymousEntrance:
    """An entrance where to the policy every caller is anonymous; an `Authorization` header is left to the handler.

    `deny` makes the refusal of a caller whom the policy denies. It is no 401, since credentials would not help.
    """

    name = "app"

    def __init__(
        self, deny: Callable[[], Refusal], unavailable: Callable[[CannotVerify | CannotDecide], Refusal]
    ) -> None:
        self._deny = deny
        self.unavailable = unavailable

    def cached(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal:
        """The anonymous caller."""
        return ANONYMOUS

    async def verify(self, credential: object) -> Principal:
        """The anonymous caller."""
        return ANONYMOUS

    def unauthenticated(self, fault: AuthenticationFault) -> Refusal:
        """As for every caller."""
        return self._deny()

    def forbidden(self, decision: Decision) -> Refusal:
        """As for every caller."""
        return self._deny()
