"""Edits: what could be written where in a text, so that one value of it becomes another."""
