"""Room of the adapters: every kind has the same verbs; `kinds.py` lists them."""
