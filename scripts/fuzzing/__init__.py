"""What is fuzzed, one kind of input a module; those that begin with an underscore are what they share.

A kind's docstring says what its inputs are, and which numbers may not change without a word. Its `KIND` makes an input
from a source of chance; `_forks` plays it in a process of its own, and `_counts` tells what became of all.
"""
