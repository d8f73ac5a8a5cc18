"""Histories, batches, the objective, the training loop and its state on disk."""
