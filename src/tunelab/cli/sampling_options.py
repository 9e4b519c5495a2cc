"""Options of `tunelab chat` and `tunelab compare` that say how answers are drawn; each is a setting of `evaluation`."""

from typing import Annotated

import typer

Temperature = Annotated[
    float | None,
    typer.Option(min=0, max=2, metavar="NUMBER", help="0 is greedy; default: the recipe's evaluation.temperature."),
]
TopP = Annotated[
    float | None,
    typer.Option(
        "--top-p", min=0, max=1, metavar="NUMBER", help="Sample from the likeliest tokens that add up to this."
    ),
]
TopK = Annotated[
    int | None, typer.Option("--top-k", min=0, metavar="N", help="Sample from this many of the likeliest tokens.")
]
MinP = Annotated[
    float | None,
    typer.Option(
        "--min-p", min=0, max=1, metavar="NUMBER", help="Sample from tokens this share as likely as the likeliest."
    ),
]
RepetitionPenalty = Annotated[
    float | None, typer.Option(min=0.01, metavar="NUMBER", help="Above 1, tokens seen before become less likely.")
]
Stop = Annotated[
    list[str] | None, typer.Option("--stop", metavar="TEXT", help="End an answer before this text; may be repeated.")
]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Seed of the draws; default: the recipe's training.seed.")]
