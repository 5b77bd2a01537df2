"""What callers may spend, and what is answered beyond that: bad credentials of a peer, new keys of an owner.

Each process counts for itself. Credentials are verified before the budget is looked at: a good one is never refused
because of bad ones from the same address.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from litestar.types import Receive, Scope, Send

from app.gateway.proxies import TrustedProxies
from app.http.door.refusal import Refusal, refusal
from app.identity.budget import Budget, BudgetSpent, peer_of

TOO_MANY = "Too many requests."
BAD_CREDENTIALS = "bad_credentials"
KEY_ISSUES = "key_issues"
CONNECTIONS = "connections"
LONG_WORK = "long_work"
# How much was beyond each budget. Of the process, because its server counts connections.
BUDGET_REFUSALS: Counter[str] = Counter(dict.fromkeys((BAD_CREDENTIALS, KEY_ISSUES, CONNECTIONS, LONG_WORK), 0))
LOG_SECONDS = 60.0
# A connection that asks again at once gets ten of these refusals a second, and not thousands.
DELAY_SECONDS = 0.1
_log = structlog.stdlib.get_logger("budgets")


@dataclass(frozen=True, slots=True)
class LateRefusal:
    """A refusal that is sent after `DELAY_SECONDS`."""

    refusal: Refusal

    async def send(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait, and send it."""
        await asyncio.sleep(DELAY_SECONDS)
        await self.refusal.send(scope, receive, send)


class Budgets:
    """The budgets of a process, each an event count for a minute; 0 is without a limit."""

    def __init__(
        self,
        proxies: TrustedProxies,
        *,
        bad_credentials: int = 0,
        key_issues: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._proxies = proxies
        self._bad_credentials = Budget(bad_credentials, clock=clock)
        self._key_issues = Budget(key_issues, clock=clock)
        self._clock = clock
        self._log_at: dict[str, float] = {}

    def note_bad_credentials(self, scope: Scope) -> LateRefusal | None:
        """Count the bad credentials of a request; the 429 where they are beyond the budget of its peer.

        Where the proxies in front do not tell the address of the client, the peer is that of the connection.
        """
        client = scope.get("client")
        peer = client[0] if client else None
        address = self._proxies.client_of(peer, scope["headers"]) or peer
        if wait := self.spend_bad_credentials(address):
            return LateRefusal(refusal(429, TOO_MANY, (b"retry-after", str(wait).encode())))
        return None

    def spend_bad_credentials(self, address: str | None) -> int:
        """Count bad credentials from an address. The seconds to wait where that is beyond the budget, else 0.

        Those of a client whose address is unknown are not counted: behind a gateway they would be everyone's.
        """
        if address is None:
            return 0
        peer = peer_of(address)
        return self._spent(BAD_CREDENTIALS, peer, self._bad_credentials.spend(peer))

    def check_key_issue(self, owner: str) -> None:
        """Count a new key of an owner. Raises BudgetSpent beyond the budget."""
        if wait := self._spent(KEY_ISSUES, owner, self._key_issues.spend(owner)):
            raise BudgetSpent(wait)

    def _spent(self, budget: str, party: str, wait: int) -> int:
        if wait:
            BUDGET_REFUSALS[budget] += 1
            if (now := self._clock()) >= self._log_at.get(budget, now):
                self._log_at[budget] = now + LOG_SECONDS
                _log.warning("a budget is spent", budget=budget, by=party, refused=BUDGET_REFUSALS[budget])
        return wait
