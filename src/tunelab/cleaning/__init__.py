"""Room of cleaning: rows are changed, rejected and sampled; every rejection is kept with its reason."""
