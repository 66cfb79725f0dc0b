"""The state of a server: connected clients, scheduled bundles, finished batches."""
