"""Measures, and the classical baselines they stand beside."""
