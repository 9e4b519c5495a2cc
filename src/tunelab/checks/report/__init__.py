"""Report: what a check found, as a document, as a page and as statistics."""
