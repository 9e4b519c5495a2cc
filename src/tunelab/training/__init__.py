"""Room of the training loop."""
