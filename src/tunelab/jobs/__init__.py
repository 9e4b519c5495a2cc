"""Room of the jobs: a command as a process of its own that outlives its terminal, and a record of what became of it."""
