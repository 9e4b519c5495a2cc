"""Selection: which rows are kept once all have been seen, and where they wait until then."""
