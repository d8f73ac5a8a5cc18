"""A first configuration from a user's files: what they are, their columns, and the YAML text."""
