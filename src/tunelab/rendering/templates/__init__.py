"""Chat templates: run in a sandbox, bounded in time and size, and rendered message by message."""
