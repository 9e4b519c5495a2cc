"""What rebuilds the embedded base model: a seeded sample world, its text, tokenizer, weights and model card."""
