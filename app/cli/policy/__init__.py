"""`authz policy`: commands for policy authors."""

from app.cli.lazy import group

policy_group = group(
    "policy",
    """Check, test and explain the policy.

    Example: authz policy check policies
    """,
    {
        "check": ("app.cli.policy.check:check_command", "Show what is wrong with a policy, and where."),
        "test": ("app.cli.policy.cases:test_command", "Run the cases in tests/*.yaml."),
        "explain": ("app.cli.policy.explain:explain_command", "Show which row allows or denies something, and why."),
        "reach": ("app.cli.policy.reach:reach_command", "Show what grants or a key reach."),
        "who": ("app.cli.policy.reach:who_command", "Show who reaches something."),
        "usage": ("app.cli.policy.reach:usage_command", "Show which scopes a key uses, and which it does not."),
        "diff": ("app.cli.policy.diff:diff_command", "Show who gains and who loses access by a change."),
        "review": (
            "app.cli.policy.review.review_command:review_command",
            "Check, test and compare a policy for a merge request.",
        ),
        "comment": (
            "app.cli.policy.review.comment_command:comment_command",
            "Send a review as the comment on a merge request.",
        ),
        "replay": (
            "app.cli.policy.replay:replay_command",
            "Decide past requests under this policy: who gains or loses.",
        ),
        "history": ("app.cli.policy.history:history_command", "Show the policies that were active."),
        "show": ("app.cli.policy.history:show_command", "Show an earlier policy, with its files."),
        "publish": ("app.cli.policy.history:publish_command", "Make a policy the active one."),
        "rollback": ("app.cli.policy.history:rollback_command", "Make an earlier policy the active one again."),
        "routes": ("app.cli.policy.routes:routes_command", "Show what each endpoint needs."),
    },
)
