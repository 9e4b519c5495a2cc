"""Room of training: the loop with its loss, optimizer and checkpoints, in one process or many."""
