"""The sample API: a catalogue of football and the holdings of this deployment, each resource declared in a line."""
