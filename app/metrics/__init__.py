"""How does it fare? What the parts count of themselves, put together for a scrape."""
