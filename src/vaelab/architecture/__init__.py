"""Architectures: an encoder and a decoder from shapes."""
