"""What `train` decides before the first step, and how it stops."""
