"""The optional features, each an extra of the package."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType
from typing import Literal

Extra = Literal["postgresql", "granian", "opentelemetry"]
# The modules that each installs; a package is named before what is in it.
EXTRAS: Mapping[Extra, tuple[str, ...]] = MappingProxyType(
    {
        "postgresql": ("asyncpg",),
        "granian": ("granian",),
        "opentelemetry": ("opentelemetry", "opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"),
    }
)


def missing_extra(extra: Extra) -> str | None:
    """What to install for a feature, as a message; None when it is installed. Nothing is imported for that."""
    try:
        if all(find_spec(module) for module in EXTRAS[extra]):
            return None
    except ModuleNotFoundError:  # a package between two of the names
        pass
    return f"the extra `{extra}` is not installed: pip install 'griddy-authz[{extra}]'"
