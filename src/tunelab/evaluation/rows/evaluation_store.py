"""Evaluations on disk: the items of a suite once, and of each model its rows.

evaluations/<suite>/suite.yaml, items.jsonl
evaluations/<suite>/<model>/rows.jsonl, evaluation.json
evaluations/answers/<model>.jsonl
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from tunelab.errors import RunError
from tunelab.evaluation.reports.report import LatencyFigures, ModelRecord, UnaskedRows
from tunelab.evaluation.rows.evaluated_row import EvaluatedRow, Item, TaskKind, WrittenAnswer
from tunelab.files import storage_errors, write_file

Record = TypeVar("Record")
_FOLDER = "evaluations"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """A task of a suite, with what was found from its rows."""

    name: str
    kinds: tuple[TaskKind, ...]
    labels: tuple[str, ...] = ()
    json_schema: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneralLoss:
    """The loss of texts that have nothing to do with the task, for one model."""

    name: str
    """``general`` for the prompts that come with tunelab, else a file's name."""
    texts: tuple[str, ...]
    """Which texts, in order."""
    nats: tuple[float, ...]
    """Of each text."""
    num_tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What is known of one model's rows, but for the rows themselves."""

    suite: str
    data: str
    """Where the rows come from, in words."""
    model: ModelRecord
    sampling: Mapping[str, object]
    seed: int
    tasks: tuple[TaskRecord, ...]
    slices: tuple[str, ...] = ()
    perturbations: tuple[str, ...] = ()
    """Kinds of perturbed prompts that were asked."""
    swaps: tuple[str, ...] = ()
    """Kinds of exchanged words that were asked."""
    left_out: tuple[UnaskedRows, ...] = ()
    general: tuple[GeneralLoss, ...] = ()
    latency: tuple[LatencyFigures, ...] = ()
    noise_floor: float | None = None
    """Share of rows that were answered otherwise when they were asked again in another order."""
    format: int = 1
    """Version of this record on disk."""


class _StoredRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """A row as it is on disk: its item lies apart."""

    id: str
    answer: WrittenAnswer | None = None
    choice_log_probs: tuple[float, ...] = ()
    nats: float | None = None
    num_scored_tokens: int = 0
    in_training: bool = False
    counts: dict[str, tuple[float, ...]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationFolder:
    """Where the evaluations of a workspace lie."""

    workspace: Path

    def cache_file(self, weights_sha256: str) -> Path:
        """Return the file in which the answers of a model are kept."""
        return self.workspace / _FOLDER / "answers" / f"{weights_sha256[:16]}.jsonl"

    def suite_folder(self, suite: str) -> Path:
        """Return the folder of a suite."""
        return self.workspace / _FOLDER / suite

    def model_folder(self, suite: str, model: ModelRecord) -> Path:
        """Return the folder of a model's rows."""
        return self.suite_folder(suite) / model.weights_sha256[:12]

    def write_items(self, suite: str, items: Sequence[Item], *, config: str) -> None:
        """Write what is asked, and the suite as it was resolved.

        Raises:
            StorageError: it cannot be written.
        """
        folder = self.suite_folder(suite)
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / "items.jsonl", _lines(items))
        write_file(folder / "suite.yaml", config)

    def write(self, evaluation: Evaluation, rows: Sequence[EvaluatedRow]) -> None:
        """Write a model's rows, and last the record that says that they are whole.

        Raises:
            StorageError: they cannot be written.
        """
        folder = self.model_folder(evaluation.suite, evaluation.model)
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / "rows.jsonl", _lines([_stored(row) for row in rows]))
        text = msgspec.json.format(msgspec.json.encode(evaluation), indent=2).decode() + "\n"
        write_file(folder / "evaluation.json", text)

    def read(self, suite: str, model: ModelRecord) -> tuple[Evaluation, list[EvaluatedRow]]:
        """Return a model's evaluation and its rows.

        Raises:
            RunError: it was not evaluated by this suite, or a file is damaged.
        """
        return self._read_in(self.model_folder(suite, model))

    def evaluations_of(self, name: str) -> list[Evaluation]:
        """Return all evaluations of the model of that name, the newest last."""
        files = sorted((self.workspace / _FOLDER).glob("*/*/evaluation.json"), key=lambda file: file.stat().st_mtime_ns)
        found = [_decoded(file, Evaluation) for file in files]
        return [each for each in found if each.model.name == name]

    def _read_in(self, folder: Path) -> tuple[Evaluation, list[EvaluatedRow]]:
        evaluation = _decoded(folder / "evaluation.json", Evaluation)
        items = {item.id: item for item in _decoded_lines(folder.parent / "items.jsonl", Item)}
        stored = _decoded_lines(folder / "rows.jsonl", _StoredRow)
        if missing := [row.id for row in stored if row.id not in items]:
            what = f"the row {missing[0]} has no item in {folder.parent.name}/items.jsonl"
            raise _damaged(what, folder / "rows.jsonl")
        return evaluation, [_row(items[row.id], row) for row in stored]


def _stored(row: EvaluatedRow) -> _StoredRow:
    return _StoredRow(
        id=row.item.id,
        answer=row.answer,
        choice_log_probs=row.choice_log_probs,
        nats=row.nats,
        num_scored_tokens=row.num_scored_tokens,
        in_training=row.in_training,
        counts=dict(row.counts),
    )


def _row(item: Item, stored: _StoredRow) -> EvaluatedRow:
    return EvaluatedRow(
        item=item,
        answer=stored.answer,
        choice_log_probs=stored.choice_log_probs,
        nats=stored.nats,
        num_scored_tokens=stored.num_scored_tokens,
        in_training=stored.in_training,
        counts=stored.counts,
    )


def _lines(records: Sequence[object]) -> str:
    return b"".join(msgspec.json.encode(each) + b"\n" for each in records).decode()


def _decoded(file: Path, kind: type[Record]) -> Record:
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except FileNotFoundError as error:
        remedy = "Make it with tunelab evaluate."
        raise RunError("there is no evaluation here", where=str(file.parent), remedy=remedy) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _damaged(str(error), file) from error


def _decoded_lines(file: Path, kind: type[Record]) -> list[Record]:
    try:
        return msgspec.json.Decoder(kind).decode_lines(file.read_bytes())
    except FileNotFoundError as error:
        raise _damaged("it is missing", file) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _damaged(str(error), file) from error


def _damaged(what: str, file: Path) -> RunError:
    remedy = "Run tunelab evaluate again: kept answers are not asked again."
    return RunError(f"this evaluation is damaged ({what})", where=str(file), remedy=remedy)
