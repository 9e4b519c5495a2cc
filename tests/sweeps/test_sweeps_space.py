"""What is searched is read from texts, and refused by the settings' own declarations before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweeps_trial.substitute import recipe_in
from tunelab.errors import RecipeError, UserError
from tunelab.recipes import ResolvedRecipe
from tunelab.sweeps.prepare import Requested, prepare
from tunelab.sweeps.space import Choice, Range, cut_warmup, num_points, read_space


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> ResolvedRecipe:
    return recipe_in(tmp_path_factory.mktemp("space"))


def test_ranges_and_choices_hold_the_values_that_the_settings_take(resolved: ResolvedRecipe) -> None:
    over = [
        "training.learning_rate=1e-4..1e-2:log",
        "lora.r=4..64:log",
        "lora.lora_alpha=8,16.5",
        "lora.target_modules=[q_proj,v_proj],attention",
        "lora.use_rslora=true, false",
    ]
    space, notes = read_space(over, resolved)
    assert space == (
        Range(key="training.learning_rate", low=1e-4, high=1e-2, log=True),
        Range(key="lora.r", low=4, high=64, log=True),
        Choice(key="lora.lora_alpha", values=(8.0, 16.5)),
        Choice(key="lora.target_modules", values=(["q_proj", "v_proj"], "attention")),
        Choice(key="lora.use_rslora", values=(True, False)),
    )
    assert [each.is_whole for each in space if isinstance(each, Range)] == [False, True]
    assert num_points(space[1:]) == 61 * 2 * 2 * 2
    assert notes == []


REFUSED = {
    "": "there is nothing to search",
    "lora.r": "has no equals sign",
    "lora.rank=4,8": 'there is no setting "lora.rank"',
    "lora=4,8": '"lora" is a section',
    "training.learning_rate=1e-2..1e-4": "begins at 0.01 and ends at 0.0001; expected the lower end first",
    "training.weight_decay=0..0.1:log": "begins at 0, which has no logarithm",
    "training.learning_rate=1e-4..2": "training.learning_rate is 2; expected a number of more than 0 and at most 1",
    "lora.r=4..4": "has an empty range",
    "lora.r=0..8": "lora.r is 0; expected a whole number of at least 1",
    "lora.r=4.5..8": "lora.r is 4.5",
    "lora.r=four..8": 'lora.r is "four"',
    "lora.r=8": "has one value to try",
    "lora.r=": "has no value to try",
    "lora.r=8,4,8": "has 8 twice",
    "training.lr_scheduler_type=linear,cosin": 'Did you mean "cosine"?',
    "training.num_warmup_steps=0.5..20": "training.num_warmup_steps is 10.25",
    "training.num_warmup_steps=0..20": "no effect: the scheduler linear has no warm-up",
    "training.learning_rate=1e-5...1e-3": "training.learning_rate is",
    "lora.target_modules=[q_proj,v_proj": "a bracket without its other half: [q_proj",
    "training.seed=1,2": "training.seed is no setting to search",
    "soft_prompt.number_of_virtual_tokens=4,8": "no setting of this recipe, which trains lora",
    "model.base_model=nano,smollm2": "says where data or models are",
    "data.eval_files=a,b": "says where data or models are",
    "data.eval_reserved=0.1,0.2": "is set by the sweep itself",
    "evaluation.num_examples=1,2": "has no effect on what is trained",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_range_that_cannot_be_is_refused_with_the_reason(text: str, resolved: ResolvedRecipe) -> None:
    with pytest.raises(RecipeError) as refused:
        read_space([text] if text else [], resolved)
    assert REFUSED[text] in str(refused.value)


def test_a_setting_is_given_once_and_a_space_is_known(resolved: ResolvedRecipe) -> None:
    with pytest.raises(RecipeError, match=r"lora\.r is given twice"):
        read_space(["lora.r=4,8", "lora.r=8,16"], resolved)
    with pytest.raises(RecipeError, match="Known names: phi-silica"):
        read_space([], resolved, name="phi")


def test_what_changes_the_rows_that_are_measured_is_said_to_be_not_comparable(resolved: ResolvedRecipe) -> None:
    _, notes = read_space(
        ["data.eval_fraction=0.1,0.2", "data.train_samples=10,20", "data.max_length=64,128"], resolved
    )
    assert len(notes) == 1
    assert "data.eval_fraction changes which rows are held out" in notes[0]
    assert "not comparable" in notes[0]


def test_phi_silica_has_the_eight_ranges_of_its_documentation(resolved: ResolvedRecipe) -> None:
    space, notes = read_space([], resolved, name="phi-silica")
    assert space == (
        Range(key="training.learning_rate", low=1e-4, high=1e-2, log=True),
        Range(key="training.weight_decay", low=1e-5, high=1e-1, log=True),
        Range(key="training.adam_beta1", low=0.9, high=0.99),
        Range(key="training.adam_beta2", low=0.9, high=0.999),
        Range(key="training.adam_epsilon", low=1e-9, high=1e-6, log=True),
        Range(key="training.num_warmup_steps", low=0, high=10_000),
        Range(key="lora.lora_dropout", low=0.0, high=0.5),
        Choice(key="training.lr_scheduler_type", values=("linear_with_warmup", "cosine_with_warmup")),
    )
    assert notes == []
    replaced, _ = read_space(["training.learning_rate=1e-3,2e-3"], resolved, name="phi-silica")
    assert [each.key for each in replaced] == [each.key for each in space]
    assert replaced[0] == Choice(key="training.learning_rate", values=(1e-3, 2e-3))


def test_warm_up_is_cut_to_the_steps_of_the_run_and_said(resolved: ResolvedRecipe) -> None:
    space, _ = read_space([], resolved, name="phi-silica")
    cut, notes = cut_warmup(space, total_steps=16)
    assert cut[5] == Range(key="training.num_warmup_steps", low=0, high=15)
    assert notes == ["training.num_warmup_steps goes up to 15 instead of 10,000: the run has 16 steps"]
    assert cut_warmup(space, total_steps=20_000) == (space, [])
    late = (Range(key="training.num_warmup_steps", low=20, high=30),)
    with pytest.raises(RecipeError, match="begins at 20, and the run has 16 steps"):
        cut_warmup(late, total_steps=16)


def test_another_method_takes_what_it_has_of_a_named_space(tmp_path: Path) -> None:
    soft = recipe_in(tmp_path, "soft_prompt.number_of_virtual_tokens=4")
    space, notes = read_space([], soft, name="phi-silica")
    assert len(space) == 7
    assert notes == ["the space phi-silica also has lora.lora_dropout, which soft_prompt does not have"]
    packed, notes = read_space([], recipe_in(tmp_path, "qlora.r=4"), name="phi-silica")
    assert (packed[6].key, notes) == ("qlora.lora_dropout", [])


def test_a_plan_sets_half_of_the_held_out_rows_aside_and_says_how_many(tmp_path: Path) -> None:
    resolved = recipe_in(tmp_path)
    plan = prepare(resolved, Requested(num_trials=50, over=["lora.r=4,8,16"]))
    assert (plan.num_reserved, plan.num_measured, plan.total_steps) == (20, 20, 20)
    assert plan.seeds == (42, 43, 44)
    assert plan.own["data.eval_reserved"] == 0.5
    assert plan.num_trials == 3
    assert plan.notes == (
        "20 of 40 held-out conversations are set aside for the last figure: no trial sees them; trials are measured on "
        "the other 20",
        "3 trials instead of 50: the space has no more points",
    )


def test_too_few_held_out_rows_are_all_measured_on_and_there_will_be_no_last_figure(tmp_path: Path) -> None:
    resolved = recipe_in(tmp_path, "data.eval_fraction=0.09")
    plan = prepare(resolved, Requested(num_trials=2, over=["lora.r=4,8,16"]))
    assert (plan.num_reserved, plan.num_measured, plan.own["data.eval_reserved"]) == (0, 18, 0.0)
    assert "there are only 18 held-out conversations, and at least 20 are needed" in plan.notes[0]


def test_held_out_loss_that_comes_too_late_to_stop_bad_trials_is_said(tmp_path: Path) -> None:
    resolved = recipe_in(tmp_path, "training.eval_steps=16", "evaluation.compare=true")
    notes = prepare(resolved, Requested(num_trials=2, over=["lora.r=4,8,16"])).notes
    assert "every 16 of 20 steps: too late to stop most bad trials early. --set training.eval_steps=2 would" in notes[1]
    assert notes[2] == "evaluation.compare is off in the runs of the sweep"


@pytest.mark.parametrize(
    ("settings", "requested", "why"),
    [
        (["data.eval_fraction=0"], {}, "no rows are held out"),
        (["training.eval_strategy=no"], {}, "measures no held-out loss"),
        ([], {"num_trials": 0}, "--trials is 0; expected 1 or more"),
        ([], {"parallel": 0}, "--parallel is 0"),
        ([], {"num_seeds": 0}, "--seeds is 0"),
    ],
)
def test_a_sweep_that_could_show_nothing_is_refused(
    tmp_path: Path, settings: list[str], requested: dict[str, int], why: str
) -> None:
    asked = Requested(**{"num_trials": 2, "over": ["lora.r=4,8"], **requested})  # type: ignore[arg-type]
    with pytest.raises(UserError, match=why):
        prepare(recipe_in(tmp_path, *settings), asked)
