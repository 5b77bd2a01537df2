"""CEL's library without its command line, which its package imports too: 0.25 s and 11 MB of every server.

tests/policy/language/test_cel_private.py fails if the package changes.
"""

from __future__ import annotations

import sys
from types import ModuleType

_COMMAND_LINE = "cel.cli"

if "cel" not in sys.modules:
    sys.modules[_COMMAND_LINE] = ModuleType(_COMMAND_LINE)
    try:
        import cel
    finally:
        del sys.modules[_COMMAND_LINE]
    del cel.cli  # so that the real one can be imported
else:
    import cel

__all__ = ["cel"]
