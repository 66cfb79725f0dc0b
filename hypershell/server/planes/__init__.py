"""What clients, people and scripts call."""
