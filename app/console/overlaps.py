"""For how long a replaced key or secret is accepted beside the new one, as a form offers it."""

from __future__ import annotations

from typing import Literal

Overlap = Literal["0", "3600", "86400", "604800", "2592000"]  # seconds
OVERLAPS: dict[Overlap, str] = {
    "3600": "for an hour",
    "86400": "for a day",
    "604800": "for a week",
    "2592000": "for 30 days",
    "0": "not at all: it stops now",
}
