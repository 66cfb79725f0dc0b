"""The client: pulls bundles, runs tasks, returns outcomes."""
