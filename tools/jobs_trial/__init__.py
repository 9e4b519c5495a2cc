"""A substitute for `tunelab train`, and trials of the jobs with it: kills, many submitters."""
