"""The loss of finished runs on the held-out rows that `data.eval_reserved` kept from them, by conversation.

    python -P -m tunelab.flows.reserved_loss OUT RUN...

A process of its own, so that whoever needs the figures does without torch. OUT is JSON: run id -> group -> the sum of
the loss over its trained tokens (nats), and their number.
"""

import sys
from collections import defaultdict
from pathlib import Path

from tunelab.dataset.gather import gather
from tunelab.errors import UserError
from tunelab.files import write_json
from tunelab.flows.subject import Subject, open_run
from tunelab.flows.training.plan import held_out_batches
from tunelab.generation.completion import Sampling
from tunelab.rendering.rendered import Rendered
from tunelab.training.held_out_loss import held_out_loss
from tunelab.workspace import Run

GroupLosses = dict[str, tuple[float, int]]
"""Group (a session, or a conversation without one) -> the sum of its tokens' losses, and the number of tokens."""


def reserved_losses(run: Run) -> GroupLosses:
    """Return the losses of a run on the rows that it did not see.

    Raises:
        UserError: the run cannot be opened, or its rows cannot be read.
    """
    subject = open_run(run)
    recipe = subject.recipe
    seed = recipe.training.seed
    data = gather(recipe.data, base=run.path, seed=seed, renderer=subject.renderer, reserved=True)
    groups: dict[str, list[Rendered]] = defaultdict(list)
    for sequence in data.held_out_sequences:
        groups[sequence.group].append(sequence)
    return {group: _loss(subject, sequences) for group, sequences in groups.items()}


def _loss(subject: Subject, sequences: list[Rendered]) -> tuple[float, int]:
    responder = subject.responder(Sampling())
    assert responder.adapter is not None  # a run has one
    with responder.switched():
        mean, num_tokens = held_out_loss(
            responder.network,
            responder.adapter,
            sequences,
            held_out_batches(subject.recipe, sequences),
            share=subject.recipe.batching.share_prefixes,
        )
    return mean * num_tokens, num_tokens


def main() -> None:
    """Measure the runs that the command line names."""
    out, *runs = map(Path, sys.argv[1:])
    try:
        write_json(out, {path.name: reserved_losses(Run(path=path)) for path in runs})
    except UserError as error:
        print(f"tunelab: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
