"""Rate limits of callers: bad credentials of a peer, new keys of an owner, and what is requested without credentials.

Each process counts separately. Credentials are verified before the budget is checked, so that valid ones are never
refused because of bad ones from the same address.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from litestar.types import Receive, Scope, Send

from app.gateway.proxies import TrustedProxies
from app.http.door.refusal import Refusal, refusal
from app.identity.budget import NETWORKS, Budget, BudgetSpent, peer_of

TOO_MANY = "Too many requests."
BAD_CREDENTIALS = "bad_credentials"
UNKNOWN_TOKENS = "unknown_tokens"
KEY_ISSUES = "key_issues"
AUTHORIZATIONS = "authorizations"
TOKENS = "tokens"
CLIENT_SECRETS = "client_secrets"
SIGN_INS = "sign_ins"
REGISTRATIONS = "registrations"
CONNECTIONS = "connections"
LONG_WORK = "long_work"
# The refusals of each budget. Global, because the server of the process counts connections.
BUDGET_REFUSALS: Counter[str] = Counter(
    dict.fromkeys(
        (
            *(BAD_CREDENTIALS, UNKNOWN_TOKENS, KEY_ISSUES, AUTHORIZATIONS, TOKENS, CLIENT_SECRETS, REGISTRATIONS),
            *(SIGN_INS, CONNECTIONS, LONG_WORK),
        ),
        0,
    )
)
# Events a minute: authorization and token requests and registrations of an address, wrong secrets of an app, and
# sign-ins of an address that fail, since the issuer is asked about each.
FIXED_BUDGETS = {AUTHORIZATIONS: 60, TOKENS: 360, CLIENT_SECRETS: 10, REGISTRATIONS: 10, SIGN_INS: 120}
LOG_SECONDS = 60.0
# A connection that retries immediately gets ten of these refusals a second, and not thousands.
DELAY_SECONDS = 0.1
_log = structlog.stdlib.get_logger("budgets")


@dataclass(frozen=True, slots=True)
class DelayedRefusal:
    """A refusal that the door sends after `DELAY_SECONDS`."""

    refusal: Refusal

    async def send(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the refusal."""
        await self.refusal.send(scope, receive, send)


def too_many(wait: int) -> Refusal:
    """The 429, with `Retry-After`."""
    return refusal(429, TOO_MANY, (b"retry-after", str(wait).encode()))


class Budgets:
    """The budgets of a process, in events a minute; 0 is no limit."""

    def __init__(
        self,
        proxies: TrustedProxies,
        *,
        bad_credentials: int = 0,
        key_issues: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._proxies = proxies
        self._bad_credentials = Budget(bad_credentials, wider=NETWORKS, clock=clock)
        self._unknown_tokens = Budget(bad_credentials, clock=clock)
        self._key_issues = Budget(key_issues, clock=clock)
        self._fixed = {
            name: Budget(per_minute, wider=NETWORKS, clock=clock) for name, per_minute in FIXED_BUDGETS.items()
        }
        self._clock = clock
        self._log_at: dict[str, float] = {}

    def count_bad_credentials(
        self, scope: Scope, *, refuse: Callable[[int], Refusal] = too_many
    ) -> DelayedRefusal | None:
        """Count the bad credentials of a request. Returns the 429 if they exceed the budget of its client.

        If the address of the client is unknown, the peer of the connection is counted. `refuse` makes the 429 from the
        seconds to wait.
        """
        if wait := self.spend_bad_credentials(self.address_of(scope)):
            return DelayedRefusal(refuse(wait))
        return None

    def spend_bad_credentials(self, address: str | None) -> int:
        """Count bad credentials from an address. Returns 0, or the seconds to wait if they exceed the budget.

        Without an address nothing is counted: behind a gateway all clients would share the budget.
        """
        if address is None:
            return 0
        peer = peer_of(address)
        return self._spent(BAD_CREDENTIALS, peer, self._bad_credentials.spend(peer))

    def spend_relayed_token(self, address: str | None, service: str, *, is_known: bool) -> int:
        """Count a bad token that a service asks about. Returns 0, or the seconds to wait if it exceeds the budget.

        It is counted for the address that sent it. If the service does not state that, only tokens that were never
        issued are counted, for the service: one of its callers can spend that budget, and another may have a token
        that has expired, who needs to know.
        """
        if address is not None:
            return self.spend_bad_credentials(address)
        return 0 if is_known else self._spent(UNKNOWN_TOKENS, service, self._unknown_tokens.spend(service))

    def check_key_issue(self, owner: str) -> None:
        """Count a new key of an owner. Raises BudgetSpent if the budget is exceeded."""
        if wait := self._spent(KEY_ISSUES, owner, self._key_issues.spend(owner)):
            raise BudgetSpent(wait)

    def check_request(self, budget: str, scope: Scope) -> None:
        """Count a request of an address. Raises BudgetSpent if the budget, one of FIXED_BUDGETS, is exceeded."""
        address = self.address_of(scope)
        if address is None:
            return
        peer = peer_of(address)
        if wait := self._spent(budget, peer, self._fixed[budget].spend(peer)):
            raise BudgetSpent(wait)

    def refund_request(self, budget: str, scope: Scope) -> None:
        """Count a request less, which `check_request` counted."""
        if (address := self.address_of(scope)) is not None:
            self._fixed[budget].refund(peer_of(address))

    def count_client_secret(self, client_id: str) -> int:
        """Count a wrong secret of an app. Returns 0, or the seconds to wait if they exceed the budget."""
        return self._spent(CLIENT_SECRETS, client_id, self._fixed[CLIENT_SECRETS].spend(client_id))

    def address_of(self, scope: Scope) -> str | None:
        """The address of the client of a request; that of its peer if a proxy does not name the client."""
        client = scope.get("client")
        peer = client[0] if client else None
        return self._proxies.client_of(peer, scope["headers"]) or peer

    def _spent(self, budget: str, party: str, wait: int) -> int:
        if wait:
            BUDGET_REFUSALS[budget] += 1
            if (now := self._clock()) >= self._log_at.get(budget, now):
                self._log_at[budget] = now + LOG_SECONDS
                _log.warning("a budget is spent", budget=budget, by=party, refused=BUDGET_REFUSALS[budget])
        return wait
