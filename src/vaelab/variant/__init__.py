"""The Lightning modules, one a kind of signal."""
