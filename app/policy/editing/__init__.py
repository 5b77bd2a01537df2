"""Editing a policy: completions, hovers, definitions, renaming and fixes for texts that may be half written.

Nothing here decides what is a fault: that is `app.policy.analysis.examination`. Lines and columns count from 1, columns
in characters, as in faults; a position is before the character at its column.
"""
