"""Options of `tunelab chat` and `tunelab compare` that say how answers are drawn. None takes the recipe's setting."""

from typing import Annotated

import typer


def _some_text(texts: list[str] | None) -> list[str] | None:
    if any(not text for text in texts or ()):
        raise typer.BadParameter("expected some text.")
    return texts


Temperature = Annotated[
    float | None,
    typer.Option(min=0, max=2, metavar="NUMBER", help="0 is greedy; default: the recipe's evaluation.temperature."),
]
TopP = Annotated[
    float | None,
    typer.Option(min=0, max=1, metavar="NUMBER", help="Sample from the likeliest tokens that add up to this."),
]
TopK = Annotated[
    int | None, typer.Option(min=0, metavar="N", help="Sample from this many of the likeliest tokens; 0 leaves all.")
]
MinP = Annotated[
    float | None,
    typer.Option(min=0, max=1, metavar="NUMBER", help="Sample from tokens this share as likely as the likeliest."),
]
RepetitionPenalty = Annotated[
    float | None, typer.Option(min=0.01, metavar="NUMBER", help="Above 1, tokens seen before become less likely.")
]
Stop = Annotated[
    list[str] | None,
    typer.Option(metavar="TEXT", callback=_some_text, help="End an answer before this text; may be repeated."),
]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Seed of the draws; default: the recipe's training.seed.")]
