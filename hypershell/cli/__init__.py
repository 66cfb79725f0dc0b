"""The command line: each verb has a file with its USAGE text, its options value and its body."""
