"""Changes data, and keeps every rejection with its reason."""
