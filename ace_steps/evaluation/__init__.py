"""Ranks of held-out targets, the metrics made of them and their statistics."""
