"""Room of the data set: both sides of a recipe's data, read, cleaned, split and rendered."""
