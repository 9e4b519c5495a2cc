"""`tunelab gate RUN`: verdicts from a report alone, exit codes, and files of gates that cannot be meant."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from evaluated_rows import evaluated
from tunelab.cli.main import run as tunelab
from tunelab.evaluation.reports.report import ModelRecord
from tunelab.evaluation.rows.evaluated_row import EvaluatedRow
from tunelab.evaluation.rows.evaluation_store import Evaluation, EvaluationFolder, TaskRecord
from tunelab.flows.compare import compare_evaluations, write_report
from tunelab.workspace import Run, Workspace

ROWS = 100


def make_run(workspace: Path, name: str, *, num_right: int, suite: str = "suite") -> None:
    """Make a run with a report: of its answers so many are right, of the base's every other."""
    run = Run(path=workspace / "runs" / name)
    run.path.mkdir(parents=True)
    run.recipe_file.write_text("model:\n  base_model: nano\n")
    base = store(workspace, "base:nano", [row % 2 == 0 for row in range(ROWS)], nats=6.0, suite=suite)
    tuned = store(workspace, name, [row < num_right for row in range(ROWS)], nats=1.5, suite=suite)
    write_report(compare_evaluations(base, tuned, Workspace(path=workspace)), run)


def store(workspace: Path, name: str, is_right: list[bool], *, nats: float, suite: str) -> Evaluation:
    """Store the evaluation of a model on rows of which every third is French."""
    model = ModelRecord(
        name=name, base_model="nano", adapter="LoRA" if name != "base:nano" else "", template_sha256="t",
        weights_sha256=name * 12,
    )  # fmt: skip
    task = TaskRecord(name="rows", kinds=("generation", "loss"))
    evaluation = Evaluation(suite=suite, data="rows", model=model, sampling={"seed": 1}, seed=1, tasks=(task,))
    rows: list[EvaluatedRow] = [
        evaluated(
            f"answer number {row}" if right else "no idea",
            f"answer number {row}",
            number=row,
            nats=nats + (row % 3 if name == "base:nano" else row % 5) / 10,
            num_scored_tokens=3,
            fields={"language": "fr" if row % 3 == 0 else "en"},
        )
        for row, right in enumerate(is_right)
    ]
    folder = EvaluationFolder(workspace=workspace)
    folder.write_items(suite, [row.item for row in rows], config="{}")
    folder.write(evaluation, rows)
    return evaluation


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path, "good", num_right=94)
    return tmp_path


def gates(*lines: str) -> None:
    Path("gates.yaml").write_text("gates:\n" + "".join(f"  - {line}\n" for line in lines))


def verdicts(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, list[dict]]:  # type: ignore[type-arg]
    code = tunelab(["gate", "good", "--json", *options])
    return code, json.loads(capsys.readouterr().out)["gates"]


def test_gates_that_all_pass_end_with_0(workspace, capsys):
    gates("{figure: exact_match, min: 0.9}", "{figure: rouge_l, against: base}", "{figure: loss, max: 1}")
    assert tunelab(["gate", "good"]) == 0
    printed = capsys.readouterr().out
    assert "3 of 3 gates passed." in printed
    assert "23 %" in printed


def test_one_that_fails_or_is_not_decided_ends_with_1(workspace, capsys):
    gates("{figure: exact_match, min: 0.9}", "{figure: exact_match, min: 0.99}", "{figure: loss, against: base}")
    code, found = verdicts(capsys)
    assert code == 1
    assert [each["verdict"] for each in found] == ["passes", "fails", "passes"]
    assert found[0]["interval"]["method"] == "Wilson"
    assert found[2]["value"] == pytest.approx(-1.5, abs=0.05)


def test_confident_gates_need_the_whole_interval(workspace, capsys):
    gates("{figure: exact_match, min: 0.9}", "{figure: exact_match, min: 0.9, confident: false}")
    code, found = verdicts(capsys, "--require", "confident")
    assert code == 1
    assert [each["verdict"] for each in found] == ["not decided", "passes"]
    assert found[0]["rows_needed"] > ROWS


def test_a_run_is_compared_with_another_on_the_same_rows(workspace, capsys):
    make_run(workspace, "older", num_right=60)
    make_run(workspace, "other", num_right=60, suite="another")
    gates("{figure: exact_match, against: older, margin: 0.01}")
    code, (found,) = verdicts(capsys)
    assert (code, found["verdict"], found["value"]) == (0, "passes", pytest.approx(0.34))
    gates("{figure: exact_match, against: other}")
    assert tunelab(["gate", "good"]) == 2
    assert "other and good were evaluated by different suites (another, suite)" in capsys.readouterr().err


def test_a_slice_and_the_gap_between_groups_can_be_gated(workspace, capsys):
    gates(
        "{figure: exact_match, slice: {language: fr}, min: 0.9}",
        "{figure: exact_match, slice: {language: pt}, min: 0.9}",
        "{figure: bias_gap, by: language, max: 0.05}",
        "{figure: loss, slice: {language: en}, max: 1}",
    )
    code, found = verdicts(capsys)
    assert code == 1
    assert [each["verdict"] for each in found] == ["passes", "not decided", "passes", "passes"]
    assert [each["rows"] for each in found] == [34, 0, 100, 66]
    assert "no row has these values" in found[1]["reason"]


@pytest.mark.parametrize("figure", ["ece", "general_loss_increase", "robustness_loss", "latency_p95_ms"])
def test_what_was_not_measured_is_not_decided(workspace, capsys, figure):
    gates(f"{{figure: {figure}, max: 0.1}}")
    code, (found,) = verdicts(capsys)
    assert (code, found["verdict"]) == (1, "not decided")
    assert "measured" in found["reason"] or "scored" in found["reason"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gates:\n  - {figure: answer_tokens, against: base}\n", ["gates.yaml:2", "neither more nor less is better"]),
        ("gates:\n  - {figure: exact_mach, min: 1}\n", ["gates.yaml:2", "exact_mach", 'Did you mean "exact_match"?']),
        ("gates:\n  - {figure: bleu, minimum: 1}\n", ["gates.yaml:2", 'no key "minimum"']),
        ("gates:\n  - {figure: bleu, min: 2, max: 1}\n", ["gates.yaml:2", "nothing passes"]),
        ("gates:\n  - {figure: bleu, min: .nan}\n", ["gates.yaml:2", "min"]),
        ("gates:\n  - {figure: bleu}\n", ["gates.yaml:2", "no threshold"]),
        ("gates:\n  - bleu\n", ["gates.yaml:2", "no gate"]),
        ("gates: []\n", ["no file of gates"]),
        ("lora: {r: 4}\n", ["no file of gates"]),
        ("gates:\n  - {figure: bleu, min: 1}\nmore: 1\n", ["no file of gates"]),
        ("", ["no file of gates"]),
    ],
)
def test_a_file_of_gates_that_cannot_be_meant_is_one_message(workspace, capsys, text, words):
    Path("gates.yaml").write_text(text)
    assert tunelab(["gate", "good"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert all(word in said for word in words)


def test_a_run_without_a_report_is_told_how_to_make_one(workspace, capsys):
    (workspace / "runs" / "good" / "report.json").unlink()
    gates("{figure: bleu, min: 1}")
    assert tunelab(["gate", "good"]) == 2
    assert "tunelab compare good" in capsys.readouterr().err


def test_pain_24_judging_brings_no_torch(workspace):
    gates("{figure: exact_match, min: 0.9}")
    program = "import sys; from tunelab.cli.main import run; run(['gate', 'good']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")
