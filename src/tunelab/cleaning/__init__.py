"""Room of cleaning: rows are changed, rejected and drawn; every rejection is kept with its reason."""
