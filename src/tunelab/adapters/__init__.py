"""Room of the adapters: every kind behind the same verbs; `kinds.py` lists them."""
