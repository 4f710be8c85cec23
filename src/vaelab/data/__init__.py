"""Items in memory: split, served in batches, cached on disk, written to files."""
