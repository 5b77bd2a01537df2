"""The hash chain over the decision log and the admin log: its entries, their signatures, and how rows are checked."""
