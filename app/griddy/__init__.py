"""The sample API: a catalogue of American football and the holdings of this deployment."""
