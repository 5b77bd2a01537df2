"""Optional features, each an extra of the package."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType
from typing import Literal

Extra = Literal["postgresql", "granian", "opentelemetry", "lsp"]
# The modules that each extra installs; a package is listed before its submodules.
EXTRAS: Mapping[Extra, tuple[str, ...]] = MappingProxyType(
    {
        "postgresql": ("asyncpg",),
        "granian": ("granian",),
        "opentelemetry": ("opentelemetry", "opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"),
        "lsp": ("pygls", "lsprotocol"),
    }
)


def missing_extra(extra: Extra) -> str | None:
    """The message that a feature is not installed; None if it is. Does not import the feature."""
    try:
        if all(find_spec(module) for module in EXTRAS[extra]):
            return None
    except ModuleNotFoundError:  # a parent package is missing
        pass
    return f"the extra `{extra}` is not installed: pip install 'griddy-authz[{extra}]'"
