"""Use of a trained recommender: lists for users, vectors for an index, items that are new."""
