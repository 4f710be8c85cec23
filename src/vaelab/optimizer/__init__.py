"""Optimizers with the schedules of their learning rates."""
