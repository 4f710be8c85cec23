"""A run: objects from its configuration, its directory, its checkpoint."""
