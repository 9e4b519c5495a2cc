"""Prompts that have nothing to do with any task, by which forgetting is measured."""
