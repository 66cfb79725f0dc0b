"""The command line: one file per verb, each with its USAGE text and `run(arguments)`."""
