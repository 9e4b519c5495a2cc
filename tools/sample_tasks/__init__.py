"""What draws the rows of the four sample tasks, from the same world as the text of the embedded base model."""
