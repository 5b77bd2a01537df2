"""The warning about a policy that reads client addresses while trusted proxies are not stated."""

from __future__ import annotations

import asyncio
from pathlib import Path

from structlog.testing import capture_logs

from app.gateway.unset_proxies import warn_about_unset_proxies
from app.policy.engine.live import LivePolicy
from tests.policy.shipped import write
from tests.policy.small import TABLE, files

OPEN = ("p, a:read, /x/**, GET, allow", "p, a:write, /x, POST, allow", "p, a:read, /y, GET, allow")
READS = "p, b:read, /y, GET, allow, \"ip_in(request.ip, '10.0.0.0/8')\""


def test_the_warning_is_logged_at_startup_and_at_each_reload_that_causes_it(tmp_path: Path) -> None:
    def warnings(*rows: str, live: LivePolicy) -> list[object]:
        write(tmp_path, files(*rows))
        with capture_logs() as lines:
            asyncio.run(live.reload())
        return [line.get("rule") for line in lines if "AUTHZ_TRUSTED_PROXIES" in str(line["event"])]

    live = LivePolicy(write(tmp_path, files(*OPEN)), TABLE)
    with capture_logs() as lines:
        warn_about_unset_proxies(live)
    assert lines == []
    assert warnings(*OPEN, READS, live=live) == ["rows.csv:4"]
    assert warnings("# more", *OPEN, READS, live=live) == []  # it was so before
    assert warnings(*OPEN, READS, "p, nonsense", live=live) == []
    assert warnings(*OPEN, live=live) == []
    assert warnings(*OPEN, READS, live=live) == ["rows.csv:4"]
    with capture_logs() as lines:
        warn_about_unset_proxies(live)
    assert [line["log_level"] for line in lines] == ["warning"]
