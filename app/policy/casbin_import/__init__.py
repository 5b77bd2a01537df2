"""What would the policy of a Casbin program be here? Reads its model and rows, and writes a policy directory."""
