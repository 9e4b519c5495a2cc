"""Room of the base model: weights loaded, layers named by role, memory estimated."""
