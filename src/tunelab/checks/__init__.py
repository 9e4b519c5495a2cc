"""Room of the checks: what is wrong with the data or the planned run, where, and the remedy; changes nothing."""
