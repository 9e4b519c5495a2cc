"""Output: rows into files that are whole or absent and never replace what is read."""
