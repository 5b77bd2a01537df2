"""The command `authz`. The module of a subcommand is imported when it is called."""

import signal
import sys

from app.cli.lazy import group
from app.hangup import hangup

if sys.argv[1:2] == ["serve"] and hasattr(signal, "SIGHUP"):
    hangup.install()  # otherwise SIGHUP would end the process during the imports


main = group(
    "authz",
    """Authorization whose rules are files.

    Example: authz policy explain --as 'decisions:read auth:jwt' GET /api/v1/decisions
    """,
    {
        "dev": ("app.cli.server.dev:dev_command", "Serve the API locally, with an issuer and sample data."),
        "init": ("app.cli.init:init_command", "Write a policy for a service."),
        "serve": ("app.cli.server.serve:serve_command", "Serve the API."),
        "token": ("app.cli.server.token:token_command", "Print a JWT that `authz dev` accepts."),
        "keys": ("app.cli.keys:keys_group", "List, check and revoke API keys."),
        "apps": ("app.cli.apps:apps_group", "Register and disable third-party apps."),
        "people": ("app.cli.people:people_group", "Block a person."),
        "decisions": ("app.cli.decisions:decisions_group", "Watch, export and verify the decision log."),
        "audit": ("app.cli.audit:audit_command", "Show the admin log."),
        "siem": ("app.cli.siem:siem_group", "Show or forget the delivery of the logs to a SIEM."),
        "db": ("app.cli.db:db_group", "Prepare the database."),
        "schema": ("app.cli.schema:schema_command", "Print the JSON Schema of what a command prints with --json."),
        "import": ("app.cli.imports:import_group", "Carry the rules of another program over."),
        "policy": ("app.cli.policy:policy_group", "Check, test and explain the policy."),
        "lsp": ("app.cli.lsp:lsp_command", "Serve an editor: faults, completions and more while you write."),
    },
    version=True,
)
