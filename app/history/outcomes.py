"""What became of changes of the policy, counted."""

from __future__ import annotations

from collections import Counter
from typing import Any

from app.history.publish import Published, Publisher, StaleParent, Widens
from app.policy.fault import PolicyRefused

OUTCOMES = ("published", "unchanged", "stale", "refused", "widens", "failed")


class CountedPublisher(Publisher):
    """A publisher that counts how its changes came out, by kind and outcome; dry runs are none."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.outcomes: Counter[tuple[str, str]] = Counter()

    async def publish(self, *args: Any, **named: Any) -> Published:
        """As without counting."""
        outcome = "failed"
        try:
            published = await super().publish(*args, **named)
            outcome = "unchanged" if published.revision == published.parent else "published"
        except StaleParent:
            outcome = "stale"
            raise
        except PolicyRefused:
            outcome = "refused"
            raise
        except Widens:
            outcome = "widens"
            raise
        finally:
            if not named.get("dry_run"):
                self.outcomes[named.get("kind", "publish"), outcome] += 1
        return published
