"""The codes of all findings: what `checks.ignore` may name, what docs/check.md explains, each once."""

CODES = (
    # rows and conversations
    "unreadable_row",
    "no_assistant_turn",
    "empty_answer",
    "too_few_rows",
    "train_eval_overlap",
    "conflicting_answers",
    "duplicates",
    "samples_above_rows",
    # who speaks when
    "role_repeated",
    "assistant_first",
    "system_in_middle",
    "empty_message",
    "ends_unanswered",
    # tools
    "tool_unknown",
    "tool_arguments",
    "tool_schema_broken",
    "tool_calls_without_catalog",
    "tool_defined_twice",
    "tool_call_without_result",
    "tool_result_without_call",
    "tool_never_called",
    # what the chat template does with them
    "unrenderable_turn",
    "generation_prompt_mismatch",
    "system_role_unsupported",
    "tools_in_words",
    "no_chat_template",
    "end_of_turn_added",
    # rendered ids
    "nothing_trained",
    "answer_cut_away",
    "beyond_positions",
    "eos_never_trained",
    "doubled_bos",
    "answer_cut",
    "too_long",
    "content_left_out",
    "reasoning_left_out",
    "control_token_in_text",
    "seam",
    # the planned run
    "warmup_longer_than_run",
    "save_steps_not_multiple",
    "too_few_for_settings",
    "evaluated_once",
)
