"""`tunelab gate RUN`: verdicts from a report alone, exit codes, and files of gates that cannot be meant."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tunelab.cli.main import run as tunelab
from tunelab.evaluation.comparison import compare
from tunelab.evaluation.report import ComparisonSetting
from tunelab.evaluation.samples import HeldOutLoss, Question, SampledAnswer, Side

ROWS = 100


def make_run(workspace: Path, name: str, *, num_right: int, prompt: str = "<user>") -> None:
    """Make a folder that is a run with a report: of its answers so many are right, of the base's every other."""
    folder = workspace / "runs" / name
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text("model:\n  base_model: nano\n")
    references = [f"answer number {row}" for row in range(ROWS)]
    questions = [
        Question(origin=f"test.jsonl:{row + 1}", group=str(row), asked="?", prompt=f"{prompt}{row}", reference=text)
        for row, text in enumerate(references)
    ]

    def side(is_right: list[bool], loss: float) -> Side:
        answers = [
            SampledAnswer(text=text if right else "no idea", stopped=True, num_tokens=3)
            for text, right in zip(references, is_right, strict=True)
        ]
        return Side(answers=answers, loss=HeldOutLoss(mean=loss, num_sequences=ROWS, num_trained_tokens=300))

    setting = ComparisonSetting(
        run=name, base_model="nano", adapter="LoRA", data="rows", max_new_tokens=8, temperature=0.0, seed=1
    )
    base, tuned = [row % 2 == 0 for row in range(ROWS)], [row < num_right for row in range(ROWS)]
    (folder / "report.json").write_text(
        compare(side(base, 2.0), side(tuned, 0.5), questions, setting=setting).to_json()
    )


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
    assert [each["verdict"] for each in found] == ["passes", "fails", "not decided"]
    assert found[0]["interval"]["method"] == "Wilson"
    assert found[2]["value"] == -1.5  # without rows a difference has no interval


def test_confident_gates_need_the_whole_interval(workspace, capsys):
    gates("{figure: exact_match, min: 0.9}", "{figure: exact_match, min: 0.9, confident: false}")
    code, found = verdicts(capsys, "--require", "confident")
    assert code == 1
    assert [each["verdict"] for each in found] == ["not decided", "passes"]
    assert found[0]["rows_needed"] > ROWS


def test_a_run_is_compared_with_another_on_the_same_rows(workspace, capsys):
    make_run(workspace, "older", num_right=60)
    make_run(workspace, "other", num_right=60, prompt="<someone>")
    gates("{figure: exact_match, against: older, margin: 0.01}")
    code, (found,) = verdicts(capsys)
    assert (code, found["verdict"], found["value"]) == (0, "passes", pytest.approx(0.34))
    gates("{figure: exact_match, against: other}")
    assert tunelab(["gate", "good"]) == 2
    assert "did not answer 100 of the 100 rows" in capsys.readouterr().err


def test_a_loss_of_other_rows_is_not_compared_and_the_reason_is_said(workspace, capsys):
    make_run(workspace, "other", num_right=60, prompt="<someone>")
    gates("{figure: loss, against: other, confident: false}", "{figure: loss, against: base, confident: false}")
    code, found = verdicts(capsys)
    assert (code, [each["verdict"] for each in found]) == (1, ["not decided", "passes"])
    assert "other rows" in found[0]["reason"]
    gates("{figure: loss, against: base}")
    assert "all rows together" in verdicts(capsys)[1][0]["reason"]


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


def test_judging_brings_no_torch(workspace):
    gates("{figure: exact_match, min: 0.9}")
    program = "import sys; from tunelab.cli.main import run; run(['gate', 'good']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")
