"""The numbers about the size of the admin log in the page for operators follow from the default of the budget."""

from __future__ import annotations

from pathlib import Path

from app.settings import Settings

PAGE = (Path(__file__).parents[2] / "scripts/observability/README.md").read_text()
MINUTES_OF_A_DAY = 24 * 60
ENTRIES_OF_A_KEY = 2  # it is issued and revoked
ENTRY_BYTES, KEY_BYTES = 420, 340


def test_the_page_has_how_much_a_user_can_add_to_the_admin_log() -> None:
    text = " ".join(PAGE.split())
    keys = Settings.model_fields["key_issues_per_minute"].default * MINUTES_OF_A_DAY
    assert f"about {ENTRY_BYTES} bytes of a SQLite file" in text
    assert f"the row stays too, with {KEY_BYTES} bytes" in text
    assert f"makes {keys * ENTRIES_OF_A_KEY:,} entries a day at each process" in text
    megabytes = keys * (ENTRIES_OF_A_KEY * ENTRY_BYTES + KEY_BYTES) / 1e6
    assert f"and {round(megabytes, -2):.0f} MB with the keys" in text
