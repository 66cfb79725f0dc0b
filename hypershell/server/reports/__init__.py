"""Where a run writes what became of its tasks."""
