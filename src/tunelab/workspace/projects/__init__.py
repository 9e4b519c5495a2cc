"""Sub-room of the projects: a folder in a workspace for each model, made from a template and synced with it."""

from tunelab.workspace.projects.add import AddedModel, add_model
from tunelab.workspace.projects.catalogue import METHODS, ModelEntry, find_model, read_catalogue
from tunelab.workspace.projects.new import NewWorkspace, create_workspace
from tunelab.workspace.projects.project import PROJECT_FILE, Project, Workflow, find_project, projects_of
from tunelab.workspace.projects.stored import workspace_around
from tunelab.workspace.projects.sync import FileSync, Synced, sync_projects

__all__ = [
    "METHODS",
    "PROJECT_FILE",
    "AddedModel",
    "FileSync",
    "ModelEntry",
    "NewWorkspace",
    "Project",
    "Synced",
    "Workflow",
    "add_model",
    "create_workspace",
    "find_model",
    "find_project",
    "projects_of",
    "read_catalogue",
    "sync_projects",
    "workspace_around",
]
