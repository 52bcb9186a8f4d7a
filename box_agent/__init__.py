"""The agent on the set-top box."""
