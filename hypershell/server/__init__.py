"""The server: reads lines, hands them out, collects outcomes, prints what failed."""
