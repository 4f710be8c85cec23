"""What makes the same arithmetic faster on the device at hand."""
