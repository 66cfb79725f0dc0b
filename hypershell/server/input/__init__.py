"""From lines to tasks."""
