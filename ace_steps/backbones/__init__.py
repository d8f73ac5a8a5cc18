"""Sequence models and their item encoders."""
