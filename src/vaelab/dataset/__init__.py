"""Where data come from: simulators, and files of the user's own."""
