"""The suite of an evaluation: from a file, or from a recipe's settings of evaluation."""

from __future__ import annotations

from pathlib import Path

from tunelab.evaluation.config import EvaluationConfig
from tunelab.evaluation.sampling_config import SamplingConfig
from tunelab.evaluation.suite.config import GeneralConfig, SuiteConfig, TaskConfig
from tunelab.files import expanded
from tunelab.flows.settings_file import read_settings


def suite_of(evaluation: EvaluationConfig, *, seed: int) -> SuiteConfig:
    """Return the suite that a recipe's settings name or describe.

    Args:
        evaluation: the settings, names absolute.
        seed: of sampled answers and resamples, unless a suite's file says another.

    Raises:
        RecipeError: the suite's file cannot be read.
    """
    if evaluation.suite is not None:
        return read_suite(Path(evaluation.suite))
    sampling = {name: getattr(evaluation, name) for name in SamplingConfig.model_fields}
    task = TaskConfig(rows=evaluation.compare_file)
    return SuiteConfig(tasks=(task,), num_rows=evaluation.num_examples, seed=seed, **sampling)


def read_suite(file: Path) -> SuiteConfig:
    """Return the suite in a YAML file; its names start from the file's folder.

    Raises:
        RecipeError: it cannot be read, or a setting is unknown or impossible.
    """
    suite = read_settings(file, SuiteConfig, what="suite")
    folder = file.absolute().parent

    def here(name: str) -> str:
        return str(folder / expanded(name))

    tasks = tuple(
        task.model_copy(
            update={
                "rows": task.rows and here(task.rows),
                "json_schema": task.json_schema and here(task.json_schema),
            }
        )
        for task in suite.tasks
    )
    general = GeneralConfig(prompts=suite.general.prompts, files=tuple(map(here, suite.general.files)))
    bias = suite.bias and suite.bias.model_copy(update={"lists": suite.bias.lists and here(suite.bias.lists)})
    judge = suite.judge
    if judge is not None and judge.rubric is not None:
        judge = judge.model_copy(update={"rubric": here(judge.rubric)})
    return suite.model_copy(update={"tasks": tasks, "general": general, "bias": bias, "judge": judge})
