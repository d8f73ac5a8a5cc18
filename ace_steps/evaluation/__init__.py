"""Ranks of held-out items, their metrics and statistics, and which runs are complete."""
