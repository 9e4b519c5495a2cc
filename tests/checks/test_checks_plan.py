"""The planned run: too few steps, too many epochs, too long a warm-up, layers that do not match, memory."""

import re
from dataclasses import replace

import pytest
from check_contexts import chats, context
from test_checks_findings import RUN, clean, the

from tunelab.checks.check import check
from tunelab.checks.config import ChecksConfig
from tunelab.checks.context import PlannedModel
from tunelab.models.estimate import MemoryEstimate
from tunelab.models.layer_roles import Target

MODEL = PlannedModel(
    targets=(
        Target(requested="mlp", modules=("layers.0.mlp.up", "layers.1.mlp.up"), shapes=((2, 2),) * 2, num_layers=2),
    ),
    unmatched="",
    remedy="",
    num_weights=1000,
    num_trainable=10,
    dtype="float32",
    device="a CPU",
    device_bytes=2**34,
    memory=MemoryEstimate(base_bytes=2**33, adapter_bytes=2**20, activation_bytes=2**32),
)


def test_a_run_of_few_steps_is_warned_of_up_to_the_setting() -> None:
    finding = the(
        "few_steps", clean(planned=replace(RUN, total_steps=9, num_warmup_steps=1, eval_steps=2, save_steps=4))
    )
    assert (finding.severity, finding.count, finding.total) == ("warning", 9, 10)
    assert "few_steps" not in check(clean(planned=replace(RUN, total_steps=60))).codes()
    assert "few_steps" in check(clean(config=ChecksConfig(min_steps=101))).codes()


def test_many_passes_over_the_rows_are_a_note_above_the_setting() -> None:
    assert the("many_epochs", clean(planned=replace(RUN, num_epochs=21))).severity == "note"
    assert "many_epochs" not in check(clean(planned=replace(RUN, num_epochs=20))).codes()
    assert "many_epochs" in check(clean(planned=replace(RUN, num_epochs=3), config=ChecksConfig(max_epochs=2))).codes()


def test_a_warm_up_over_more_than_half_of_the_run_is_warned_of() -> None:
    assert "51 of 100 steps (51 %)" in the("warmup_long", clean(planned=replace(RUN, num_warmup_steps=51))).summary
    assert "warmup_long" not in check(clean(planned=replace(RUN, num_warmup_steps=50))).codes()
    assert "warmup_long" not in check(clean(planned=replace(RUN, num_warmup_steps=100))).codes()


def test_a_run_that_wants_held_out_loss_and_has_no_held_out_row_is_warned_of() -> None:
    assert (
        the("no_held_out_rows", clean(planned=replace(RUN, wants_evaluation=True), held_out=())).severity == "warning"
    )
    assert "no_held_out_rows" not in check(clean(planned=replace(RUN, wants_evaluation=True))).codes()


def test_layers_that_match_are_no_finding() -> None:
    assert not check(clean(model=MODEL)).items
    assert next(iter(MODEL.in_words())) == "mlp: 2 modules (up) in all 2 layers"


def test_pain_07_a_wish_that_matches_nothing_blocks_before_a_weight_is_read() -> None:
    unmatched = replace(MODEL, targets=(), unmatched="q_proj matches no layer of phi3", remedy="Use qkv_proj.")
    finding = the("target_unmatched", clean(model=unmatched))
    assert (finding.severity, finding.blocking, finding.remedy) == ("error", True, "Use qkv_proj.")
    assert "q_proj matches no layer of phi3" in finding.summary


def test_pain_07_a_wish_that_reaches_some_layers_only_is_warned_of() -> None:
    finding = the(
        "target_partly_matched", clean(model=replace(MODEL, targets=(replace(MODEL.targets[0], num_layers=9),)))
    )
    assert finding.examples == ("mlp: 2 modules (up) in 2 of 9 layers",)


@pytest.mark.parametrize(("device_bytes", "found"), [(2**33, 1), (2**34, 0), (None, 0)])
def test_pain_19_a_step_above_the_machines_memory_is_warned_of(device_bytes: int | None, found: int) -> None:
    codes = check(clean(model=replace(MODEL, device_bytes=device_bytes))).codes()
    assert codes.count("memory_above_machine") == found


def test_bare_data_plan_nothing() -> None:
    assert not check(context(train=chats(20))).items


def test_experts_that_lora_does_not_reach_are_counted() -> None:
    finding = the("experts_unreached", clean(model=replace(MODEL, num_expert_weights=900)))
    assert (finding.severity, finding.count, finding.total) == ("note", 900, 1000)
    without = check(clean(model=replace(MODEL, num_expert_weights=900, targets=())))
    assert "experts_unreached" not in without.codes()  # a soft prompt trains no layer at all


@pytest.mark.parametrize("total_steps", [2, 3, 20, 100, 1000])
@pytest.mark.parametrize("eval_steps", [1, 3, 64, 500])
@pytest.mark.parametrize("save_steps", [1, 7, 64, 200])
def test_remedies_for_eval_steps_and_save_steps_do_not_lead_into_each_other(
    total_steps: int, eval_steps: int, save_steps: int
) -> None:
    codes = {"evaluated_once", "save_steps_not_multiple"}
    run = replace(RUN, total_steps=total_steps, eval_steps=eval_steps, save_steps=save_steps)
    for finding in [each for each in check(clean(planned=run)) if each.code in codes]:
        settings = {name: int(value.replace(",", "")) for name, value in _SET.findall(finding.remedy)}
        assert settings
        again = check(clean(planned=replace(run, **settings)))
        assert not codes & set(again.codes())


_SET = re.compile(r"training\.(eval_steps|save_steps) to ([\d,]+)")


def test_a_run_that_is_evaluated_once_is_said_of_by_the_settings_that_are_on_and_set() -> None:
    once = replace(RUN, total_steps=12, num_warmup_steps=1, eval_steps=500, save_steps=500)
    unset = the("evaluated_once", clean(planned=replace(once, sets_save_steps=False)))
    assert unset.remedy == "Set training.eval_steps to 3."
    last = the("evaluated_once", clean(planned=replace(once, keeps_best=False)))
    assert last.remedy == "Set training.eval_steps to 3."
    assert "arly stopping" not in last.why
    assert "best" not in last.why
    both = the("evaluated_once", clean(planned=replace(once, stops_early=True)))
    assert both.why == "Early stopping and the choice of the best checkpoint have no effect."
