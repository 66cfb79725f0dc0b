"""Tasks on a client: started, watched, stopped, and what they print."""
