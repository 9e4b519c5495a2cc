"""The report as one page: a first screen that is also one printed sheet, then slices, rows and details."""
