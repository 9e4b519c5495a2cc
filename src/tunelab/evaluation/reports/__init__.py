"""Two models over the same rows: what changed, how sure that is, and how it is shown."""
