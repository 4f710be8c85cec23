"""Lightning's trainer: its settings, the plan of its steps, its making, its fit and its test."""
