"""Selection: which rows are kept once all have been read, and the spool that holds them until then."""
