"""Helpers of the tests that clean files."""

import json
from pathlib import Path

from tunelab.cleaning.clean import clean_files
from tunelab.cleaning.clean_report import CleanReport
from tunelab.cleaning.config import CleaningConfig
from tunelab.conversations import ConversationConfig
from tunelab.sources import SourceFile, read_rows


def write_rows(path: Path, rows: list[object]) -> Path:
    """Write JSON lines."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def chat(question: str, answer: str, **fields: object) -> dict[str, object]:
    """Return a row of two messages."""
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": messages, **fields}


def clean(path: Path, out: str = "out.jsonl", *, test_size: float = 0.0, **settings: object) -> CleanReport:
    """Clean one file into `out` next to it, and assert that every row is accounted for."""
    excluded = settings.pop("excluded", ())
    labels = {name: settings.pop(name) for name in list(settings) if name.startswith("label_")}
    of_another_kind = companion_file(path.parent / out, "report.json")  # but of the same name
    of_another_kind.unlink(missing_ok=True)
    report = clean_files(
        [SourceFile(name=path.name, path=path)],
        path.parent / out,
        CleaningConfig(**settings),  # type: ignore[arg-type]
        conversation=ConversationConfig(**labels),  # type: ignore[arg-type]
        test_size=test_size,
        excluded=[SourceFile(name=each.name, path=each) for each in excluded],  # type: ignore[attr-defined]
        overwrite=True,
    )
    assert report.num_read == report.num_kept + report.num_rejected + report.num_not_sampled
    assert report.num_kept == report.num_train + report.num_test
    assert report.num_rejected == len(rejected(path.parent, out)) == sum(each.count for each in report.rejected)
    assert json.loads(companion_file(path.parent / out, "report.json").read_text())["num_kept"] == report.num_kept
    return report


def rejected(folder: Path, out: str = "out.jsonl") -> list[dict[str, object]]:
    """Return the rejected rows of an output in a folder."""
    text = companion_file(folder / out, "rejected.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.split("\n") if line]


def companion_file(out: Path, name: str) -> Path:
    """Return a file that belongs to an output: next to it, or inside if it is a folder."""
    return out / name if out.is_dir() else out.with_name(f"{out.name.partition('.')[0]}.{name}")


def kept(path: Path) -> list[object]:
    """Return the rows of an output, read as training would."""
    if not path.stat().st_size:
        return []
    return [row.value for row in read_rows([SourceFile(name=path.name, path=path)])]


def counts(report: CleanReport) -> dict[str, int]:
    """Return how many rows each rule rejected."""
    return {each.rule: each.count for each in report.rejected}
