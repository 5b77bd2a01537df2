"""The language of conditions: what they may speak of, what they may look like, and what is wrong with one."""
