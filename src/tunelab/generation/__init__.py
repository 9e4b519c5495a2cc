"""Room of generation: prompt ids in, streamed tokens out."""
