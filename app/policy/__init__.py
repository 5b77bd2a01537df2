"""May they? From policy files to a decision with its reason."""
