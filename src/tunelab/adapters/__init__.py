"""Room of the adapters: what is trained of a base model or next to it; one file for each kind."""
