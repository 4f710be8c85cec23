"""Beta, the weight of the KL term, as a pure function of the global step."""
