"""Fields that describe a row, by their names, and worse answers: nobody misses them in training."""

_NAMES = frozenset(
    """
    id ids uid uuid guid idx index row_id prompt_id question_id
    example_id sample_id conversation_id conv_id chat_id thread_id request_id
    message_id user_id user_name username source src origin url link file filename path dataset dataset_name subset
    split metadata meta extra info created created_at updated_at timestamp time date datetime ts model model_name
    model_id engine provider usage object system_fingerprint service_tier finish_details version hash sha md5
    license author annotator language lang locale category topic subject domain tag tags difficulty type task
    task_type task_name num_tokens num_turns n_tokens token_count tokens length turn turns round rounds temperature
    top_p top_k max_tokens max_completion_tokens max_output_tokens presence_penalty frequency_penalty
    repetition_penalty seed stop stream n logprobs top_logprobs logit_bias parallel_tool_calls tool_choice
    response_format reasoning_effort store annotations latency latency_ms cost duration status stop_sequence
    cache_control canonical_form strict
    """.split()  # noqa: SIM905 (a quarter of the lines)
)


def describes(name: str) -> bool:
    """Return whether a field of this name describes a row: an id, where it is from, an index that pandas wrote.

    The worse answer of a preference pair counts as one: it is not to be trained.
    """
    return not name or name.lower() in _NAMES or is_worse(name) or name.startswith(("Unnamed: ", "__index_level_"))


def is_worse(name: str) -> bool:
    """Return whether a field of this name holds the worse answer of a preference pair, or says something of it."""
    return name.lower().startswith("rejected") or name.endswith("_rejected") or name == "non_preferred_output"
