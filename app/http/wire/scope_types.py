"""The types of ASGI scopes: on Python 3.11, a member of an enumeration takes a quarter of a microsecond to look up."""

from __future__ import annotations

from typing import Final

from litestar.enums import ScopeType

HTTP: Final = ScopeType.HTTP
WEBSOCKET: Final = ScopeType.WEBSOCKET
