"""The tasks of one run: decided in memory."""
