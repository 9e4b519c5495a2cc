"""The suite of an evaluation: which rows are asked, and what is measured of the answers."""
