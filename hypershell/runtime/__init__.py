"""What the process gets from the system: threads, signals, limits, time."""
