"""Room of the sweeps: many runs of one recipe with other values of some settings, and which of them is better."""
