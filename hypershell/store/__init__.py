"""Stores tasks from the moment they are read until they are final."""
