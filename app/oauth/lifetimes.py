"""How long codes, tokens and requests live, and how many there may be."""

from __future__ import annotations

from datetime import timedelta

REQUEST = timedelta(minutes=30)  # from the start to the consent, with a sign-in in between
PUSHED_REQUEST = timedelta(seconds=60)
CODE = timedelta(seconds=60)
WRONG_VERIFIERS = 5  # for one code
ACCESS_TOKEN = timedelta(minutes=15)
KEPT = 2 * ACCESS_TOKEN  # after its end: so long its access tokens are known as revoked
REFRESH_IDLE = timedelta(days=30)
REFRESH_ABSOLUTE = timedelta(days=90)
UNSEEN = timedelta(days=30)  # after the last sign-in of a user nothing is refreshed
ROTATION_GRACE = timedelta(seconds=30)
SIBLINGS = 3
FAMILIES = 20  # for one consent
GRANTS = 100  # of one user
ACCESS_TOKENS = 100  # of one family that have not expired
OPEN_REQUESTS = 20_000  # of all callers together
