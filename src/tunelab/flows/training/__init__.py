"""Training: what is decided before the first step, and how a run stops."""
