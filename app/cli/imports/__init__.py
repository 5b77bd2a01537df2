"""`authz import`: carries the rules of another program over."""

from app.cli.lazy import group

import_group = group(
    "import",
    """Carry the rules of another program over.

    Example: authz import casbin ./casbin --name orders --out policies-new
    """,
    {"casbin": ("app.cli.imports.casbin:casbin_command", "Carry over the model and the rows of a Casbin program.")},
)
