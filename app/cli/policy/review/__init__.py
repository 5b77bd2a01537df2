"""`authz policy review` and `authz policy comment`: what CI says about a change of a policy.

The first reads the policy before the change from git (`git_base`), examines, tests and compares (`policy_review`), and
writes reports (`reports`). The second sends the comment, so that only that one has the token.
"""
