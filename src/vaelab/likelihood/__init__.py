"""p(x | z): how a decoder's output becomes a density over x."""
