"""What a signal is: its measures beside their baselines, its figures and its sound."""
