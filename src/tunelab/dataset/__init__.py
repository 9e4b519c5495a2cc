"""Room of the data set: both sides of a recipe's data, training and held-out; read, cleaned, split and rendered."""
