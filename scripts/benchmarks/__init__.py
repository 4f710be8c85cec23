"""The parts of the benchmark, one module each; those that begin with an underscore are what they share.

A part's docstring says what it measures and what was held equal. Its `measure(options)` gives a `Table`.
"""
