"""Thresholds that a model must pass, each with three outcomes: passes, fails, cannot be decided with these rows."""
