"""The form of the tokens that this deployment issues: API keys, and the tokens of third-party apps.

It is configured once for a process, as the log is: tokens are created and recognized in many places, and texts are
searched for them where no setting is at hand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Literal

TokenKind = Literal["access", "refresh", "code", "secret"]
DEFAULT_PREFIX = "grd"
MAX_PREFIXES = 5
ENVIRONMENTS = ("live", "test")
DIGITS = 48  # hexadecimal: 192 random bits
PUBLIC_DIGITS = 8  # of a key, which are stored and shown
_KINDS: Mapping[TokenKind, str] = MappingProxyType(
    {"access": "oat", "refresh": "ort", "code": "oac", "secret": "ocs"},
)
# Alternatives of a pattern: the environments of keys, and the kinds of tokens of apps.
ANY_ENVIRONMENT, ANY_APP_TOKEN = "|".join(ENVIRONMENTS), "|".join(_KINDS.values())
_ANY_PREFIX = "[a-z][a-z0-9]{1,11}"
_PREFIX = re.compile(_ANY_PREFIX)
# A key with any prefix, also with one that was never used here.
ANY_KEY = re.compile(rf"{_ANY_PREFIX}_(?:{ANY_ENVIRONMENT})_[0-9a-f]{{{DIGITS}}}")
ANY_TOKEN = re.compile(rf"{_ANY_PREFIX}_(?:{ANY_ENVIRONMENT}|{ANY_APP_TOKEN})_[0-9a-f]{{{DIGITS}}}")
# The public part of a key with any prefix, or the beginning of it; the groups are the environment and its digits.
PUBLIC_PART = re.compile(rf"{_ANY_PREFIX}_({ANY_ENVIRONMENT})_([0-9a-f]{{0,{PUBLIC_DIGITS}}})")
# Scanners report these as secrets of Stripe, in the same form as ours.
_FOREIGN = frozenset({"sk", "pk", "rk"})


@dataclass(frozen=True)
class TokenFormat:
    """The form of tokens with one of these prefixes: new ones have the first, and those with another are accepted."""

    prefixes: tuple[str, ...] = (DEFAULT_PREFIX,)

    @property
    def prefix(self) -> str:
        """The prefix of new tokens."""
        return self.prefixes[0]

    @cached_property
    def starts(self) -> tuple[str, ...]:
        """What tokens of this deployment begin with."""
        return tuple(f"{prefix}_" for prefix in self.prefixes)

    @cached_property
    def app_starts(self) -> tuple[str, ...]:
        """What the tokens of third-party apps begin with."""
        return tuple(f"{start}{name}_" for start in self.starts for name in _KINDS.values())

    @cached_property
    def access_starts(self) -> tuple[str, ...]:
        """What access tokens begin with."""
        return tuple(f"{start}{_KINDS['access']}_" for start in self.starts)

    @cached_property
    def key(self) -> re.Pattern[str]:
        """An accepted key; the group is its environment."""
        return re.compile(rf"{self._any_prefix}_({ANY_ENVIRONMENT})_[0-9a-f]{{{DIGITS}}}")

    @cached_property
    def app_tokens(self) -> Mapping[TokenKind, re.Pattern[str]]:
        """An accepted token of an app, by its kind."""
        return {kind: re.compile(rf"{self._any_prefix}_{name}_[0-9a-f]{{{DIGITS}}}") for kind, name in _KINDS.items()}

    @property
    def longest_public_part(self) -> int:
        """The length of the public part of a key with the longest prefix."""
        return max(map(len, self.prefixes)) + len("_live_") + PUBLIC_DIGITS

    @property
    def _any_prefix(self) -> str:
        return f"(?:{'|'.join(self.prefixes)})"

    def key_start(self, environment: str) -> str:
        """What new keys of an environment begin with."""
        return f"{self.prefix}_{environment}_"

    def app_token_start(self, kind: TokenKind) -> str:
        """What new tokens of an app begin with."""
        return f"{self.prefix}_{_KINDS[kind]}_"


_current = TokenFormat()


def configure(prefixes: Sequence[str]) -> None:
    """Configure the prefixes of this process, before anything verifies a token."""
    global _current  # noqa: PLW0603  # like the configuration of the log
    _current = TokenFormat(tuple(prefixes))


def current() -> TokenFormat:
    """The form of the tokens of this process."""
    return _current


def check_prefix(prefix: str) -> str:
    """Return a prefix that tokens can have. Raises ValueError, with what to write."""
    if _PREFIX.fullmatch(prefix) is None:
        raise ValueError(
            "write 2 to 12 lower-case letters and digits, beginning with a letter and without `_`, such as acme"
        )
    if prefix in _FOREIGN:
        raise ValueError(f"scanners report `{prefix}_live_…` as a secret of Stripe: choose another prefix")
    return prefix
