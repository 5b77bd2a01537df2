"""Texts that people paste by mistake, and texts that only resemble them."""

from __future__ import annotations

_DIGITS = "5a" * 24
_HEADER = "eyJhbGciOiJSUzI1NiJ9"  # {"alg":"RS256"}

SECRETS = (
    f"grd_live_{_DIGITS}",
    f"grd_test_{_DIGITS}",
    f"GRD_LIVE_{_DIGITS.upper()}",
    f"grd_live_{_DIGITS[:9]}",
    *(f"grd_{kind}_{_DIGITS}" for kind in ("oat", "ort", "oac", "ocs")),
    _DIGITS,
    f"key={_DIGITS}",
    f"grd%5Flive%5F{_DIGITS}",
    _HEADER,
    f"{_HEADER}.eyJzdWIiOiJ1c2VyXzEifQ.c2ln",
    f"Bearer {_HEADER}.e30.c2ln",
    f"token_{_HEADER}.",
)
PLAIN = (
    "grd_live_5a5a5a5a",  # the public prefix
    "heyJude",
    "GreyJayCollectorsAssociation",
    "eyJafjallajokull",
    "67f7a42c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60",  # a commit
    "5a" * 32,  # a SHA-256
    "the grd_ keys",
)
