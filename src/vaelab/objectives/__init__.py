"""Likelihoods, latents, beta schedules and the bound."""
