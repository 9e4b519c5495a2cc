"""What is measured of answers, each figure as a function of sums over rows."""
