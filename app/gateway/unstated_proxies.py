"""Warns of a policy that reads the address of clients while nothing is said of the proxies in front."""

from __future__ import annotations

import structlog

from app.policy.analysis.client_address import address_readers
from app.policy.engine.live import LivePolicy, Reload

_log = structlog.stdlib.get_logger("gateway")


def warn_of_unstated_proxies(live: LivePolicy) -> None:
    """Log it now, and after each reload by which it becomes so. A proxy that says nothing is taken for the client."""
    known = False

    def look(_: Reload | None = None) -> None:
        nonlocal known
        rule = next(address_readers(live.active.policy), None)
        if rule and not known:
            _log.warning(
                "a condition reads request.ip, and AUTHZ_TRUSTED_PROXIES is not set: a proxy that sends no forwarding "
                "header is taken for the client; name the networks of your proxies, or `none`",
                rule=rule.place,
            )
        known = rule is not None

    look()
    live.on_reload(look)
