"""Room of the adapters: LoRA, soft prompt and prefix tuning behind the same verbs."""
