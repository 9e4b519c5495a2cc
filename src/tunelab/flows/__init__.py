"""Room of the flows: one function for each verb; the only place where rooms meet."""
