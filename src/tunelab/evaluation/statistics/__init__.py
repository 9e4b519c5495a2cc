"""What a figure is worth: intervals, tests, power and calibration, as functions of numbers. Needs numpy alone."""
