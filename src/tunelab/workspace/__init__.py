"""Room of the workspace: the folder on disk; the only room that knows where a run's files lie."""

from tunelab.workspace.run import Run
from tunelab.workspace.workspace import MARKER, OWN_FOLDER, Workspace, find_workspace, name_of_run

__all__ = ["MARKER", "OWN_FOLDER", "Run", "Workspace", "find_workspace", "name_of_run"]
