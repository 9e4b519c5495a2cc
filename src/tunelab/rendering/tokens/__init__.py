"""Tokens: text to ids and back, and which words only look like control tokens."""
