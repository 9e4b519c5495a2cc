"""Check, train and compare from Python: each command of tunelab is one function of `tunelab.flows`.

python examples/python_api.py examples/recipe_lora.yaml --set training.num_training_steps=8
"""

import argparse
from pathlib import Path

from tunelab.events import StepDone
from tunelab.flows.check import check_data_or_recipe
from tunelab.flows.compare import Compared, compare_run
from tunelab.flows.train import train
from tunelab.recipes import resolve_recipe
from tunelab.workspace import find_workspace


def main(arguments: list[str] | None = None) -> Compared:
    """Run the three verbs on a recipe and return the comparison; a UserError says what a user can fix."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--set", dest="overrides", action="append", default=[], help="section.key=value")
    options = parser.parse_args(arguments)

    # Check: the findings are data. The same ones stop a training run.
    checked = check_data_or_recipe(str(options.recipe), overrides=options.overrides)
    for finding in checked.findings:
        print(f"{finding.severity} {finding.code}: {finding.summary}")
    print(f"{len(checked.dataset.train)} conversations to train on, {len(checked.dataset.held_out)} held out")

    # Train: a listener gets each event as it happens; events.jsonl in the run's folder holds them all.
    def show(event: object) -> None:
        if isinstance(event, StepDone):
            print(f"step {event.step}: loss {event.loss:.3f}, {event.real_tokens / event.duration_s:,.0f} tokens/s")

    resolved = resolve_recipe(options.recipe, overrides=options.overrides)
    trained = train(resolved, find_workspace(Path.cwd()), listeners=[show])
    print(f"adapter in {trained.run.adapter}")

    # Compare: base and tuned model on the same held-out rows; report.json and report.html lie in the run's folder.
    compared = compare_run(trained.run, num_examples=4)
    for row in compared.rows:
        before, after = (side.answer.text if side.answer else "" for side in (row.before, row.after))
        print(f"{row.item.asked}\n  base:  {before!r}\n  tuned: {after!r}")
    loss = compared.report.tasks[0].figure("loss")
    print(f"held-out loss {loss.before.value:.3f} -> {loss.after.value:.3f}")
    return compared


if __name__ == "__main__":
    main()
