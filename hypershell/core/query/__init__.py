"""Conditions and selections of tasks, as values."""
