"""The anonymous half: what was watched, and nobody."""
