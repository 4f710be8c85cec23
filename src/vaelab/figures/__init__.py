"""Figures: arrays in, one matplotlib Figure out."""
