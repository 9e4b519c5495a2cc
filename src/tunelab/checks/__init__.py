"""Room of the checks: looks at what was read, says what is wrong, where, and the remedy; changes nothing."""
