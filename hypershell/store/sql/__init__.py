"""The task database: the only room that knows SQL."""
