"""Rules: which texts change and which rows are rejected, one batch after another."""
