"""Sources, codecs and the in-memory DataModule."""
