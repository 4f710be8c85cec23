"""Latent families: what q(z|x) and p(z) are."""
