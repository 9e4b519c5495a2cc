"""What `train` refuses before its first step, as findings: no reason to ignore them lets it pass."""

from collections.abc import Iterator

from tunelab.checks.context import CheckContext
from tunelab.checks.finding import Finding
from tunelab.checks.rule import rule

_WHY = {
    "base_model_unusable": "No run starts on these files.",
    "precision_impossible": "No run starts in this precision.",
    "adapter_impossible": "No step of this adapter can be computed on this base model.",
    "run_folder_unusable": "The run could not be written.",
    "token_beyond_embeddings": "The model has no vector for such a token.",
    "compare_rows_missing": "The comparison would end with an error after the training.",
}


@rule(*_WHY)
def refused_by_train(context: CheckContext) -> Iterator[Finding]:
    """Files, settings and folders that keep a run from starting."""
    for refusal in context.refusals:
        error = refusal.error
        yield Finding(
            code=refusal.code,
            severity="error",
            summary=f"{error.what}{f'; expected {error.expected}' if error.expected else ''}",
            count=1,
            total=1,
            examples=(error.where,) if error.where else (),
            why=_WHY[refusal.code],
            remedy=error.remedy or "The place above names what to change.",
            blocking=True,
        )
