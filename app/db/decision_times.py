"""Times of decisions as rows store them: a second since 2020, which takes 32 bits until 2088, and a microsecond."""

from __future__ import annotations

EPOCH = 1_577_836_800  # 2020-01-01 in seconds since 1970
DAY_SECONDS = 86_400
_MICROSECONDS = 1_000_000
DAY = DAY_SECONDS * _MICROSECONDS
MIN_SECOND, MAX_SECOND = -(2**31), 2**31 - 1
END = (MAX_SECOND + EPOCH) * _MICROSECONDS  # the first time in microseconds since 1970 that is not stored exactly


def split_time(at: int) -> tuple[int, int]:
    """The second and the microsecond of a time in microseconds since 1970; years beyond the range are its ends."""
    second, microsecond = divmod(at, _MICROSECONDS)
    return min(max(second - EPOCH, MIN_SECOND), MAX_SECOND), microsecond


def join_time(second: int, microsecond: int) -> int:
    """The time in microseconds since 1970."""
    return (second + EPOCH) * _MICROSECONDS + microsecond


def day_of(at: int) -> int:
    """The day of a time in microseconds, both since 1970."""
    return at // DAY
