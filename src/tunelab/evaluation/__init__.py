"""Room of the evaluation: answers scored, two models compared. No imports here: every recipe reads its config."""
