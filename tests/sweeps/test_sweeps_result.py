"""What came of a sweep: a table, a picture, a verdict, and a recipe with the values of the best trial."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps_trial.substitute import Substitute, controller_of, measured, recipe_in, run_until_done, sweep_in
from tunelab.cli.main import run as tunelab
from tunelab.jobs.in_process import InProcessJobs
from tunelab.jobs.job_folder import JobsFolder, held
from tunelab.jobs.slots import read_slots
from tunelab.jobs.store import Store
from tunelab.recipes import resolve_recipe
from tunelab.recipes.recipe import settings_of
from tunelab.sweeps.controller import Controller, best_of
from tunelab.sweeps.importance import importance_of
from tunelab.sweeps.result import Result, conclude, read_result
from tunelab.sweeps.sweep import Sweep
from tunelab.sweeps.trials import Trial, Trials
from tunelab.workspace import Workspace


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """A sweep that has ended."""
    folder = tmp_path_factory.mktemp("ended")
    sweep, store = sweep_in(folder, num_trials=12), Store(JobsFolder(workspace=Workspace(path=folder)))
    controller = controller_of(sweep, store, InProcessJobs(Substitute(store)))
    run_until_done(controller)
    conclude(sweep, controller.trials.look(), controller.trials, measure=measured)
    return sweep


@pytest.fixture
def trials(sweep: Sweep) -> dict[str, Trial]:
    return Trials(sweep, Store(JobsFolder(workspace=sweep.workspace))).look()


@pytest.fixture
def result(sweep: Sweep) -> Result:
    result = read_result(sweep)
    assert result is not None
    return result


@pytest.fixture
def printed(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> pytest.CaptureFixture[str]:
    monkeypatch.chdir(sweep.workspace.path)
    return capsys


def test_the_best_is_compared_with_the_recipe_on_rows_that_no_trial_saw(
    sweep: Sweep, trials: dict[str, Trial], result: Result
) -> None:
    best = best_of(trials)
    assert best is not None
    assert result.best == best.label
    assert result.comparison is not None
    assert (result.comparison.num_groups, result.comparison.num_seeds) == (20, 2)
    base = [trials[label].loss for label in ("base-1", "base-2")]
    again = [best.loss, trials["best-2"].loss]
    expected = sum(each or 0.0 for each in again) / 2 - sum(each or 0.0 for each in base) / 2
    assert result.comparison.difference == pytest.approx(expected)
    assert result.sentence() == f"Trial {best.label} beats the noise."
    assert result.noise.losses == tuple(base)


def test_the_setting_that_matters_is_named_first(trials: dict[str, Trial], sweep: Sweep) -> None:
    numbered = [trial for trial in trials.values() if trial.number]
    importance = importance_of(sweep.plan.space, numbered)
    assert importance is not None
    assert next(iter(importance.shares)) == "training.learning_rate"
    assert sum(importance.shares.values()) == pytest.approx(1)
    assert importance.describe() == "of the held-out loss at its first measurement, over 12 trials"
    assert importance_of(sweep.plan.space, numbered[:9]) is None


def test_show_prints_the_trials_the_best_first_and_the_verdict(
    printed: pytest.CaptureFixture[str], trials: dict[str, Trial], result: Result
) -> None:
    assert tunelab(["sweep", "show", "small"]) == 0
    lines = printed.readouterr().out.splitlines()
    numbered = [line.split() for line in lines if line.split() and line.split()[0].isdecimal()]
    assert len(numbered) == 12
    assert numbered[0][:2] == [result.best, "finished"]
    losses = [float(line[2]) for line in numbered if line[1] == "finished"]
    assert losses == sorted(losses)
    assert any(line.startswith("The recipe itself: ") and "over 2 seeds" in line for line in lines)
    assert f"Trial {result.best} beats the noise." in lines
    job = trials[str(result.best)].job
    assert job is not None
    assert any(f"train .tunelab/job/{job.id}/recipe.yaml --run {job.id}" in line for line in lines)


def test_show_json_holds_every_run(printed: pytest.CaptureFixture[str], trials: dict[str, Trial]) -> None:
    assert tunelab(["sweep", "show", "small", "--json"]) == 0
    document = json.loads(printed.readouterr().out)
    assert [each["label"] for each in document["trials"]] == list(trials)
    assert document["plan"]["num_trials"] == 12
    assert document["result"]["comparison"]["num_groups"] == 20


def test_best_writes_a_short_recipe_that_trains_with_the_values_of_the_best(
    sweep: Sweep, printed: pytest.CaptureFixture[str], trials: dict[str, Trial], result: Result
) -> None:
    out = sweep.workspace.path / "elsewhere" / "best.yaml"
    out.parent.mkdir(exist_ok=True)
    assert tunelab(["sweep", "best", "small", "-o", str(out)]) == 0
    text = out.read_text()
    assert f"# trial {result.best}" in text
    assert "On 20 conversations that no trial saw" in " ".join(line.strip("# ") for line in text.splitlines())
    assert len(text.splitlines()) < 30
    best = settings_of(resolve_recipe(out, environment={}).anchored)
    expected = settings_of(sweep.resolved.anchored) | dict(trials[str(result.best)].settings)
    assert best == expected
    assert (best["data.split_seed"], best["data.eval_reserved"]) == (None, 0.0)
    assert tunelab(["sweep", "best", "small", "-o", str(out)]) == 2
    assert "there is a file of this name" in printed.readouterr().err


def test_the_picture_is_a_png(sweep: Sweep) -> None:
    assert sweep.picture_file.read_bytes().startswith(b"\x89PNG")


def test_a_sweep_that_has_ended_is_left_as_it_is(printed: pytest.CaptureFixture[str]) -> None:
    assert tunelab(["sweep", "resume", "small"]) == 0
    assert "has ended; nothing was done" in printed.readouterr().out
    assert tunelab(["sweep", "stop", "small"]) == 0
    assert "has ended already" in printed.readouterr().out


def test_figures_that_could_not_be_taken_are_no_verdict(tmp_path: Path) -> None:
    sweep, store = sweep_in(tmp_path, num_trials=3), Store(JobsFolder(workspace=Workspace(path=tmp_path)))
    controller = controller_of(sweep, store, InProcessJobs(Substitute(store)))
    run_until_done(controller)
    result = conclude(sweep, controller.trials.look(), controller.trials, measure=lambda sweep, runs: {})
    assert result.comparison is None
    assert "is not known" in result.sentence()


def test_data_that_were_changed_while_the_sweep_went_on_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep, store = sweep_in(tmp_path, num_trials=3), Store(JobsFolder(workspace=Workspace(path=tmp_path)))
    controller = controller_of(sweep, store, InProcessJobs(Substitute(store, changes="^  seed: 43$")))
    run_until_done(controller)
    result = conclude(sweep, controller.trials.look(), controller.trials, measure=measured)
    assert result.other_data[0] == "base-2"
    assert "base-1" not in result.other_data
    monkeypatch.chdir(tmp_path)
    assert tunelab(["sweep", "show", "small"]) == 0
    assert "the data files were changed while the sweep went on; not comparable" in capsys.readouterr().out


def test_an_interrupted_sweep_says_how_to_go_on_and_several_runs_at_once_get_their_slots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: Controller) -> None:
        raise KeyboardInterrupt

    sweep_in(tmp_path, parallel=2)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Controller, "run", interrupted)
    assert tunelab(["sweep", "resume", "small"]) == 130
    printed = capsys.readouterr()
    assert "This workspace now runs 2 jobs at once" in printed.out
    assert read_slots(JobsFolder(workspace=Workspace(path=tmp_path))) == 2
    assert "the run at work goes on (to save and stop it: " in printed.err
    assert "sweep resume small" in printed.err


def test_a_sweep_has_one_controller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with held(sweep_in(tmp_path).lock_file):
        assert tunelab(["sweep", "resume", "small"]) == 2
    assert "another process runs this sweep" in capsys.readouterr().err


PREPARES = """
import sys
from dataclasses import replace
from pathlib import Path
from tunelab.recipes import resolve_recipe
from tunelab.sweeps.prepare import Requested, prepare
prepare(resolve_recipe(Path("recipe.yaml")), Requested(num_trials=2, over=["lora.r=4,8"]))
from tunelab.cli import sweep
from tunelab.sweeps import controller, result
print(sorted({"torch", "transformers"} & set(sys.modules)))
"""


def test_a_controller_brings_no_torch(tmp_path: Path) -> None:
    recipe_in(tmp_path)
    done = subprocess.run([sys.executable, "-c", PREPARES], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.strip() == "[]"


FAULTS = {
    ("--trials", "0"): "--trials is 0",
    ("--name", "No Name"): '"No Name" is no name for a sweep',
    ("--name", "small"): 'there is a sweep "small" already. Go on with it: tunelab sweep resume small',
    ("--budget", "soon"): '--budget: "soon" is no time',
    ("--over", "lora.rang=1,2"): 'there is no setting "lora.rang"',
    ("--space", "phi"): "Known names: phi-silica",
}


@pytest.mark.parametrize("words", FAULTS, ids="=".join)
def test_a_fault_is_one_message_and_leaves_no_file(
    words: tuple[str, str], printed: pytest.CaptureFixture[str], sweep: Sweep, tmp_path: Path
) -> None:
    recipe_in(tmp_path)
    given = ["--over", "lora.r=4,8", "--name", "new", *words]
    assert tunelab(["sweep", str(tmp_path / "recipe.yaml"), *given]) == 2
    assert FAULTS[words] in printed.readouterr().err
    assert [file.name for file in sweep.path.parent.iterdir()] == ["small"]


def test_a_sweep_that_is_not_there_is_named_with_those_that_are(printed: pytest.CaptureFixture[str]) -> None:
    assert tunelab(["sweep", "show", "smal"]) == 2
    assert 'Did you mean "small"?' in printed.readouterr().err


@pytest.mark.parametrize(
    ("file", "remedy"),
    [
        ("result.json", "Delete it, and make it again: tunelab sweep resume small."),
        ("trials/1.json", "Begin the sweep again under another name."),
        ("plan.json", "Begin the sweep again under another name."),
    ],
)
def test_a_damaged_file_of_a_sweep_is_named_in_one_message(
    sweep: Sweep, file: str, remedy: str, printed: pytest.CaptureFixture[str]
) -> None:
    before = (sweep.path / file).read_bytes()
    try:
        (sweep.path / file).write_text("{")
        assert tunelab(["sweep", "show", sweep.name]) == 2
    finally:
        (sweep.path / file).write_bytes(before)
    err = printed.readouterr().err
    assert f"{sweep.name}/{file}: this file of a sweep cannot be read" in err
    assert remedy in err


def test_a_sweep_whose_budget_ended_before_its_first_trial_says_so(result: Result) -> None:
    none = replace(result, best=None, comparison=None)
    assert none.sentence() == "No trial is better than the recipe."
    assert replace(none, num_trials=0).sentence().startswith("No trial was measured")
    assert result.num_trials == 12
