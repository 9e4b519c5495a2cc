"""Rows: the text fields in one, its hash, and the same row with some of its texts replaced."""
