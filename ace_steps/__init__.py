"""LLM item vectors, reshaped in closed form, as the start of a sequential recommender."""

__version__ = "0.1.0"
