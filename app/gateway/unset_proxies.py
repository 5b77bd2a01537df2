"""Warning about a policy that reads the address of clients while no trusted proxies are configured."""

from __future__ import annotations

import structlog

from app.policy.analysis.client_address import address_readers
from app.policy.engine.live import LivePolicy, Reload

_log = structlog.stdlib.get_logger("gateway")


def warn_about_unset_proxies(live: LivePolicy) -> None:
    """Log the warning now, and after each reload that makes it apply."""
    warned = False

    def check(_: Reload | None = None) -> None:
        nonlocal warned
        rule = next(address_readers(live.active.policy), None)
        if rule and not warned:
            _log.warning(
                "a condition reads request.ip, and AUTHZ_TRUSTED_PROXIES is not set: a proxy that sends no forwarding "
                "header is taken for the client; name the networks of your proxies, or `none`",
                rule=rule.place,
            )
        warned = rule is not None

    check()
    live.on_reload(check)
