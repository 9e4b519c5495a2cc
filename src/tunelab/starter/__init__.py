"""The embedded base model `nano` and the four sample tasks of the quickstart.

`NANO_FOLDER` holds the model, `SAMPLE_TASKS` says what can be learnt, `write_sample_task` writes one to a folder.
"""

from tunelab.starter.samples import (
    NANO_FOLDER,
    SAMPLE_TASKS,
    SampleTask,
    SampleTaskFiles,
    write_sample_task,
)

__all__ = ["NANO_FOLDER", "SAMPLE_TASKS", "SampleTask", "SampleTaskFiles", "write_sample_task"]
