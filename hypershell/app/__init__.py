"""What the program does, without a command line."""
