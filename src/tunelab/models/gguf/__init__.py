"""Sub-room of GGUF files: a model in one file of llama.cpp's format becomes a folder that transformers loads."""
