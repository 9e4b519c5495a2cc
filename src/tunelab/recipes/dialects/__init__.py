"""Dialects: recipes of other tools, read into canonical settings."""
