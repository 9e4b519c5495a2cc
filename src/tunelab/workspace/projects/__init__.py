"""Sub-room of the projects: a folder in a workspace for each model, made from a template and synced with it."""

from tunelab.workspace.projects.project import PROJECT_FILE, Project, Workflow, find_project, projects_of

__all__ = ["PROJECT_FILE", "Project", "Workflow", "find_project", "projects_of"]
