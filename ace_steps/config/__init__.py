"""The experiment as one tree: every key with its default, unit, range and meaning."""
