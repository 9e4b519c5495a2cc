"""The embedded base model `nano` and the four sample tasks of the quickstart; `tools/` holds what rebuilds both."""

from pathlib import Path

from tunelab.starter.sample_tasks import EMBEDDED, SAMPLE_TASKS, SampleTask, SampleTaskFiles, write_sample_task

NANO_FOLDER: Path = Path(__file__).parent / "nano"
"""The folder of the embedded base model; `AutoTokenizer` and `AutoModelForCausalLM` read it."""

__all__ = ["EMBEDDED", "NANO_FOLDER", "SAMPLE_TASKS", "SampleTask", "SampleTaskFiles", "write_sample_task"]
