"""A substitute for training in sweeps, and trials of the controller with it."""
