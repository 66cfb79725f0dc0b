"""The server directory: who holds it, its runs, how a server is found."""
