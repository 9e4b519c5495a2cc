"""tunelab turns conversations into a fine-tuned, measured adapter for a small language model."""

__version__ = "0.1.0"
