"""Room of the batches: sequences with a shared prefix become one forest; epochs, order and steps. Brings numpy."""
