"""The rows of an evaluation: what is asked, and what a model answered."""
