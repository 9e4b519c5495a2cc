"""What a training run loads before its first step, loaded once for all the runs that are forked from this process.

Nothing here starts a thread that a fork would miss, and nothing touches a GPU: no row is read (polars), no backward
pass is run (torch), and no device is asked for.
"""

from __future__ import annotations

import tempfile
from importlib import import_module
from pathlib import Path

_LOADED = (
    "tunelab.flows.train",
    "transformers.optimization",
    "rich.live",
    "dotenv",
)
_PROSE = "Some words in a language, so that the model which tells languages is loaded."


def warm_up() -> None:
    """Load modules, the list of model kinds, the model that tells languages, and what draws the loss curve."""
    for module in _LOADED:
        import_module(module)
    from tunelab.models.require_files import require_text_model
    from tunelab.starter import NANO_FOLDER
    from tunelab.texts.language import language_of

    require_text_model(NANO_FOLDER)
    language_of(_PROSE)
    _draw()


def _draw() -> None:
    from tunelab.events import EventIndex, EventLog, StepDone
    from tunelab.events.loss_plot import terminal_plot, write_loss_plot

    facts = dict.fromkeys(StepDone.__struct_fields__, 1) | {"time": 0.0}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        EventLog(folder / "events.jsonl").emit(StepDone(**facts))  # type: ignore[arg-type]
        index = EventIndex(folder / "events.jsonl")
        write_loss_plot(index, folder / "loss.png", title="")
        terminal_plot(index)
