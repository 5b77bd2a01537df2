"""The policy of a stored revision, built for the routes of this process."""

from __future__ import annotations

import json
import zlib

from app.db.tables.history import PolicyRevision
from app.history.entry import HistoryEntry
from app.history.files import bytes_of
from app.policy.engine.live import LivePolicy
from app.policy.engine.snapshot import Snapshot
from app.policy.language.fault import Fault, PolicyRefused


def build_stored(live: LivePolicy, entry: HistoryEntry, row: PolicyRevision | None) -> Snapshot:
    """Build the snapshot of an entry from its row. Raises PolicyRefused with every fault."""
    try:
        files = bytes_of(row) if row else {}
    except (zlib.error, json.JSONDecodeError, UnicodeError) as error:
        raise PolicyRefused([_broken(entry)]) from error
    snapshot = live.build_candidate(files)
    if snapshot.revision != entry.revision:
        raise PolicyRefused([_broken(entry)])
    return snapshot


def _broken(entry: HistoryEntry) -> Fault:
    message = f"the database holds other files than those of the revision {entry.revision}"
    return Fault.of_file("broken-revision", ".", message, "publish a good policy")
