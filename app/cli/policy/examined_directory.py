"""Examines the policy of a directory, with the routes and settings of the environment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.policy.directory import issuer_faults

if TYPE_CHECKING:
    from app.policy.analysis.examination import Examination


def examine_directory(directory: Path) -> Examination:
    """Examine a policy directory as the server would read it."""
    from app.cli.routes import route_table
    from app.policy.analysis.examination import examine
    from app.policy.language.directory import read
    from app.settings import load_local

    return examine(
        lambda: read(directory),
        route_table(),
        find_more=issuer_faults,
        proxies_stated=load_local().trusted_proxies is not None,
    )
