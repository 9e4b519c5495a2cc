"""The report as one page: no script, nothing fetched, everything escaped."""

from tunelab.evaluation.reports.page.page import to_html

__all__ = ["to_html"]
