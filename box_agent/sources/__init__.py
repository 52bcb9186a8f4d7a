"""Players that are asked: each source turns what one kind of player says into the agent's events."""
