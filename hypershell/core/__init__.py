"""Plain values and rules; no files, sockets, threads or clocks (a `Loop` is given its thread)."""
