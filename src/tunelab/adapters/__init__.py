"""Room of the adapters: LoRA and soft prompt behind the same verbs."""
