"""Raw logs and item texts to dense, ordered, split interactions."""
