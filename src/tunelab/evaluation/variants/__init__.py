"""Prompts that are changed to see what a model loses: typos and other perturbations, swaps of names, gender, origin."""
