"""Signals from physics and rules: waves, radio pulses, genres."""
