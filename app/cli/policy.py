"""`authz policy`: what policy authors run."""

from app.cli.lazy import group

policy_group = group(
    "policy",
    """Check, test and explain the policy.

    Example: authz policy check policies
    """,
    {
        "check": ("app.cli.policy_check:check_command", "Say what is wrong with a policy, and where."),
        "test": ("app.cli.policy_test:test_command", "Run the cases in tests/*.yaml."),
        "explain": ("app.cli.policy_explain:explain_command", "Say which row allows or denies something, and why."),
        "reach": ("app.cli.policy_reverse:reach_command", "Show what grants or a key reach."),
        "who": ("app.cli.policy_reverse:who_command", "Show who reaches something."),
        "usage": ("app.cli.policy_reverse:usage_command", "Show which scopes a key uses, and which it does not."),
        "diff": ("app.cli.policy_diff:diff_command", "Say who gains and who loses access by a change."),
        "replay": (
            "app.cli.policy_replay:replay_command",
            "Decide past requests under this policy: who gains or loses.",
        ),
        "history": ("app.cli.policy_history:history_command", "Show the policies that were active."),
        "show": ("app.cli.policy_history:show_command", "Show one of them, with its files."),
        "publish": ("app.cli.policy_history:publish_command", "Make a policy the active one."),
        "rollback": ("app.cli.policy_history:rollback_command", "Make an earlier policy the active one again."),
        "routes": ("app.cli.policy_routes:routes_command", "Show what each endpoint needs."),
    },
)
