"""Room of the forest: shared prefixes found, batches and their order owned. Its modules bring numpy."""
