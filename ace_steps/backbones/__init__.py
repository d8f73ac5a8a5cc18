"""Sequence models, their item encoders and the registry of both."""
